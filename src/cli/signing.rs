//! Options about signatures of sets and receipts: [`Signing`], for verbs that make something; [`Vouching`], for verbs that read.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::password::PasswordArguments;
use super::settings::for_clap;
use crate::error::Result;
use crate::workflow::key;
use crate::workflow::signing::{Authority, Demand, SecretKey, Wish};

/// What signs.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Signatures")]
pub(super) struct Signing {
    /// Sign the set, or the receipt, with this secret key of minisign
    #[arg(long, value_name = "KEY", env = "OCM_SIGN")]
    sign: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordArguments,
}

impl Signing {
    /// The key, opened.
    pub(super) fn open(&self) -> Result<Option<Arc<SecretKey>>> {
        let Some(file) = &self.sign else { return Ok(None) };
        key::open(file, &mut || self.password.of(file)).map(Some)
    }
}

/// Which signatures must be there.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Signatures")]
pub(super) struct Vouching {
    /// Take only sets and receipts signed by these: a trust file, a .pub file, or a public key; repeat for more
    ///
    /// A trust file has lines KEY ROLE LINEAGE-GLOB…. For receipts the patterns are matched with the destination, docker://HOST/…, instead of
    /// a lineage. A key named alone has no role and counts for all. Without --require-signature one signature must be there.
    #[arg(long, value_name = "FILE|KEY", env = "OCM_TRUST")]
    trust: Vec<String>,
    /// Ask for signatures or approvals by so many different keys of a role; repeat for more
    ///
    /// ROLE is ROLE=1, N is that many keys of any role, and without a value one is asked for.
    #[arg(
        long,
        value_name = "ROLE=N",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1",
        env = "OCM_REQUIRE_SIGNATURE",
        value_delimiter = ',',
        value_parser = demand
    )]
    require_signature: Vec<Demand>,
    /// Count this approval too, besides what lies beside the set or receipt; repeat for more
    #[arg(long, value_name = "FILE", env = "OCM_APPROVAL")]
    approval: Vec<PathBuf>,
}

impl Vouching {
    /// What is named, read.
    pub(super) fn read(self) -> Result<Authority> {
        Authority::load(Wish { trust: self.trust, demands: self.require_signature, approvals: self.approval })
    }
}

fn demand(text: &str) -> Result<Demand, String> {
    for_clap(text.parse())
}

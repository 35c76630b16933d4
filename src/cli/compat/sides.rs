//! Who a person is at the registries of each side, and how these are believed.
//!
//! *Not here:* what files and helpers know of that (`store::registry`).

use std::path::PathBuf;

use clap::Args;

use crate::error::{Error, Result};
use crate::workflow::{Reach, Settings, Who};

/// The flags of both sides.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Registries")]
pub(super) struct SideFlags {
    /// USER:PASSWORD of registries that are read from
    #[arg(long, hide = true, alias = "screds")]
    src_creds: Option<String>,
    /// USER:PASSWORD of the registry that is written to
    #[arg(long, hide = true, alias = "dcreds")]
    dest_creds: Option<String>,
    /// Read credentials for registries that are read from in this file
    #[arg(long, hide = true)]
    src_authfile: Option<PathBuf>,
    /// Read credentials for the registry that is written to in this file
    #[arg(long, hide = true)]
    dest_authfile: Option<PathBuf>,
    /// Who reads
    #[arg(long, hide = true)]
    src_username: Option<String>,
    /// Who writes
    #[arg(long, hide = true)]
    dest_username: Option<String>,
    /// The password of who reads
    #[arg(long, hide = true)]
    src_password: Option<String>,
    /// The password of who writes
    #[arg(long, hide = true)]
    dest_password: Option<String>,
    /// A token of registries that are read from
    #[arg(long, hide = true)]
    src_registry_token: Option<String>,
    /// A token of the registry that is written to
    #[arg(long, hide = true)]
    dest_registry_token: Option<String>,
    /// A directory with certificates for reading
    #[arg(long, hide = true)]
    src_cert_dir: Option<PathBuf>,
    /// A directory with certificates for writing
    #[arg(long, hide = true)]
    dest_cert_dir: Option<PathBuf>,
    /// Read as nobody
    #[arg(long, hide = true)]
    src_no_creds: bool,
    /// Write as nobody
    #[arg(long, hide = true)]
    dest_no_creds: bool,
}

/// Both sides, checked.
pub(super) struct Sides {
    src: Reach,
    dest: Reach,
}

/// The flags of one side.
struct Said {
    side: &'static str,
    creds: Option<String>,
    username: Option<String>,
    password: Option<String>,
    token: Option<String>,
    nobody: bool,
}

impl SideFlags {
    /// Checks what was said of both sides.
    pub(super) fn check(self) -> Result<Sides> {
        let src = Said {
            side: "src",
            creds: self.src_creds,
            username: self.src_username,
            password: self.src_password,
            token: self.src_registry_token,
            nobody: self.src_no_creds,
        };
        let dest = Said {
            side: "dest",
            creds: self.dest_creds,
            username: self.dest_username,
            password: self.dest_password,
            token: self.dest_registry_token,
            nobody: self.dest_no_creds,
        };
        let reach = |said: Said, authfile, certs| Ok::<_, Error>(Reach { who: said.who()?, authfile, certs, tls_verify: None });
        Ok(Sides { src: reach(src, self.src_authfile, self.src_cert_dir)?, dest: reach(dest, self.dest_authfile, self.dest_cert_dir)? })
    }
}

impl Sides {
    /// Puts this into the settings of a run.
    pub(super) fn apply(self, settings: &mut Settings) {
        for (said, reach) in [(self.src, &mut settings.src), (self.dest, &mut settings.dest)] {
            (reach.who, reach.certs) = (said.who, said.certs);
            reach.authfile = said.authfile.or_else(|| reach.authfile.take());
        }
    }
}

impl Said {
    fn who(self) -> Result<Who> {
        let side = self.side;
        let both = |one: &str, other: &str| Err(Error::usage(format!("--{side}-{one} and --{side}-{other} contradict each other")));
        match (self.creds, self.username, self.password, self.token, self.nobody) {
            (Some(_), _, _, _, true) => both("creds", "no-creds"),
            (_, Some(_), _, _, true) => both("username", "no-creds"),
            (Some(_), Some(_), ..) => both("creds", "username"),
            (_, _, _, Some(_), true) => both("registry-token", "no-creds"),
            (None, Some(_), None, ..) | (None, None, Some(_), ..) => {
                Err(Error::usage(format!("--{side}-username and --{side}-password go together")).hint("name both"))
            }
            (_, _, _, Some(token), _) => Ok(Who::Token(token)),
            (Some(creds), ..) => {
                let (user, password) = creds.split_once(':').unwrap_or((&creds, ""));
                Ok(Who::Password { user: user.to_owned(), password: password.to_owned() })
            }
            (_, Some(user), Some(password), ..) => Ok(Who::Password { user, password }),
            (_, _, _, _, true) => Ok(Who::Nobody),
            _ => Ok(Who::Known),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(change: impl FnOnce(&mut SideFlags)) -> SideFlags {
        let mut flags = SideFlags::default();
        change(&mut flags);
        flags
    }

    #[test]
    fn who_somebody_is_goes_by_what_they_say() {
        let password = |user: &str, password: &str| Who::Password { user: user.into(), password: password.into() };
        for (flags, expected) in [
            (flags(|_| {}), Who::Known),
            (flags(|flags| flags.dest_creds = Some("me:a:b".into())), password("me", "a:b")),
            (flags(|flags| (flags.dest_username, flags.dest_password) = (Some("me".into()), Some("x".into()))), password("me", "x")),
            (flags(|flags| flags.dest_registry_token = Some("t".into())), Who::Token("t".into())),
            (flags(|flags| flags.dest_no_creds = true), Who::Nobody),
        ] {
            let sides = flags.check().expect("sides");
            assert!(sides.dest.who == expected && sides.src.who == Who::Known);
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (flags, why) in [
            (flags(|flags| (flags.src_creds, flags.src_no_creds) = (Some("a:b".into()), true)), "--src-creds and --src-no-creds"),
            (
                flags(|flags| (flags.src_creds, flags.src_username) = (Some("a:b".into()), Some("a".into()))),
                "--src-creds and --src-username",
            ),
            (flags(|flags| (flags.src_username, flags.src_no_creds) = (Some("a".into()), true)), "--src-username and --src-no-creds"),
            (flags(|flags| flags.dest_username = Some("a".into())), "--dest-username and --dest-password go together"),
            (flags(|flags| flags.dest_password = Some("a".into())), "--dest-username and --dest-password go together"),
        ] {
            let error = flags.check().err().expect(why).to_string();
            assert!(error.starts_with(why), "{error}");
        }
    }
}

//! [`Auth`]: what goes into the `Authorization` of each request to one registry.
//!
//! **Invariants.** Nothing is sent before the registry has asked. One token is fetched once for all tasks that wait for
//! it. An authorization that a registry refuses is replaced once, and only if it was not made for that very request.
//!
//! *Not here:* talking to the token service (`token`), where logins come from (`credentials`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{StatusCode, Url};
use tokio::time::Instant;

use super::access::Access;
use super::authfile::Login;
use super::challenge::Challenge;
use super::credentials::Credentials;
use super::retry::Retries;
use super::token::{Wanted, basic};
use super::transport::Transport;
use crate::error::{Error, Result};

/// How many authorizations are kept, at least, before those that have ended are let go.
const MANY: usize = 256;

/// The authorizations of one registry.
pub(super) struct Auth {
    host: String,
    credentials: Credentials,
    retries: Retries,
    challenge: Mutex<Option<Challenge>>,
    slots: Mutex<Slots>,
}

/// The authorizations by their scopes.
#[derive(Default)]
struct Slots {
    by_scopes: BTreeMap<Vec<String>, Arc<Slot>>,
    /// How many there may be before they are looked through.
    limit: usize,
}

/// The authorization for one set of scopes. Its lock is held while it is made, so that all others wait for it.
type Slot = tokio::sync::Mutex<Held>;

#[derive(Default)]
struct Held {
    authorization: Option<Authorization>,
    /// Scopes that the registry asked for beyond those that are usual.
    extra_scopes: Vec<String>,
    /// How many authorizations this slot has had.
    made: u64,
}

/// What goes along with a request.
#[derive(Clone)]
pub(super) struct Authorization {
    /// `None` where nothing is known that could be sent.
    pub(super) header: Option<HeaderValue>,
    /// Where the login came from.
    pub(super) place: Option<String>,
    until: Option<Instant>,
    number: u64,
    is_fresh: bool,
}

impl Auth {
    /// The authorizations of `host`; a token service gets as many `retries` as any request.
    pub(super) fn new(host: &str, credentials: Credentials, retries: Retries) -> Self {
        Self { host: host.to_owned(), credentials, retries, challenge: Mutex::default(), slots: Mutex::default() }
    }

    /// The authorization for `access`; `None` until the registry has asked for one.
    pub(super) async fn authorization(&self, access: &Access, root: &Url, transport: &Transport) -> Result<Option<Authorization>> {
        let Some(challenge) = locked(&self.challenge).clone() else { return Ok(None) };
        let slot = self.slot(access);
        let mut held = slot.lock().await;
        if let Some(known) = held.authorization.as_ref().filter(|known| known.is_good()) {
            return Ok(Some(Authorization { is_fresh: false, ..known.clone() }));
        }
        let mut made = self.make(access, &challenge, &held.extra_scopes, root, transport).await?;
        held.made += 1;
        made.number = held.made;
        held.authorization = Some(made.clone());
        Ok(Some(made))
    }

    /// Takes in that an answer refused `sent`; whether another authorization may be let in.
    pub(super) async fn refused(&self, access: &Access, sent: Option<&Authorization>, status: StatusCode, headers: &HeaderMap) -> bool {
        let is_news = match status {
            StatusCode::UNAUTHORIZED => self.learn(access, headers).await,
            // Some registries (ECR) answer so when a token has ended.
            StatusCode::FORBIDDEN => false,
            _ => return false,
        };
        // Another task may have learned the same in the meantime.
        let Some(sent) = sent else { return locked(&self.challenge).is_some() };
        let may_have_ended = !sent.is_fresh && sent.header.is_some();
        if is_news || may_have_ended {
            self.drop_authorization(access, sent.number).await;
        }
        is_news || may_have_ended
    }

    /// Remembers what the registry asks for; whether that is new.
    async fn learn(&self, access: &Access, headers: &HeaderMap) -> bool {
        let values = headers.get_all(WWW_AUTHENTICATE).iter().map(HeaderValue::as_bytes);
        let Some(mut asked) = Challenge::best(values) else { return false };
        let scope = match &mut asked {
            Challenge::Bearer { scope, .. } => scope.take(),
            Challenge::Basic => None,
        };
        let is_new_scope = self.learn_scope(access, scope).await;
        let known = locked(&self.challenge).replace(asked.clone());
        is_new_scope || known.as_ref() != Some(&asked)
    }

    /// Keeps what a registry wants in a token beyond the usual scopes of an access; whether that is new.
    async fn learn_scope(&self, access: &Access, scope: Option<String>) -> bool {
        let usual = access.scopes();
        let is_extra = |one: &&str| !one.is_empty() && !usual.iter().any(|own| covers(own, one));
        let extra: Vec<String> = scope.iter().flat_map(|scope| scope.split(' ')).filter(is_extra).map(str::to_owned).collect();
        if extra.is_empty() {
            return false;
        }
        let slot = self.slot(access);
        let mut held = slot.lock().await;
        let known = std::mem::replace(&mut held.extra_scopes, extra);
        known != held.extra_scopes
    }

    async fn drop_authorization(&self, access: &Access, number: u64) {
        let slot = self.slot(access);
        let mut held = slot.lock().await;
        if held.authorization.as_ref().is_some_and(|held| held.number == number) {
            held.authorization = None;
            self.credentials.forget().await;
        }
    }

    async fn make(
        &self,
        access: &Access,
        challenge: &Challenge,
        extra_scopes: &[String],
        root: &Url,
        transport: &Transport,
    ) -> Result<Authorization> {
        let found = self.credentials.find(&self.host, access.repository()).await?;
        let place = found.as_ref().map(|found| found.place.clone());
        if let Some(Login::RegistryToken(token)) = found.as_ref().map(|found| &found.login) {
            return Ok(Authorization { header: Some(bearer(token)?), place, until: None, number: 0, is_fresh: true });
        }
        let (header, until) = match challenge {
            Challenge::Basic => (found.and_then(|found| password_header(&found.login)), None),
            Challenge::Bearer { realm, service, .. } => {
                let mut scopes = access.scopes();
                scopes.extend_from_slice(extra_scopes);
                let service = service.as_deref();
                let wanted = Wanted { host: &self.host, root, realm, service, scopes: &scopes, found: found.as_ref() };
                let token = wanted.fetch(transport, &self.retries).await?;
                (Some(token.header), Some(token.until))
            }
        };
        Ok(Authorization { header, place, until, number: 0, is_fresh: true })
    }

    fn slot(&self, access: &Access) -> Arc<Slot> {
        locked(&self.slots).of(access.scopes())
    }
}

impl Slots {
    fn of(&mut self, scopes: Vec<String>) -> Arc<Slot> {
        if self.by_scopes.len() >= self.limit {
            self.by_scopes.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|held| held.is_good()));
            self.limit = MANY.max(2 * self.by_scopes.len());
        }
        self.by_scopes.entry(scopes).or_default().clone()
    }
}

impl Held {
    fn is_good(&self) -> bool {
        self.authorization.as_ref().is_some_and(Authorization::is_good)
    }
}

impl Authorization {
    fn is_good(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

/// The header of a token that a person named.
fn bearer(token: &str) -> Result<HeaderValue> {
    let header = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut header = header.map_err(|_| Error::usage("the token of the registry has characters that no token has"))?;
    header.set_sensitive(true);
    Ok(header)
}

fn password_header(login: &Login) -> Option<HeaderValue> {
    match login {
        Login::Password { user, password } => Some(basic(user, password)),
        Login::IdentityToken(_) | Login::RegistryToken(_) => None,
    }
}

/// Whether the scope `own` allows all that `asked` does.
fn covers(own: &str, asked: &str) -> bool {
    match (own.rsplit_once(':'), asked.rsplit_once(':')) {
        (Some((own, has)), Some((asked, wants))) => own == asked && wants.split(',').all(|want| has.split(',').any(|one| one == want)),
        _ => own == asked,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn authorizations_that_have_ended_are_let_go_when_there_are_many() {
        let until = |seconds| Some(Instant::now() + std::time::Duration::from_secs(seconds));
        let mut slots = Slots::default();
        for number in 0..10_000 {
            let slot = slots.of(vec![number.to_string()]);
            let until = until(if number < 300 { 3600 } else { 0 });
            slot.lock().await.authorization = Some(Authorization { header: None, place: None, until, number: 1, is_fresh: true });
        }
        assert!((300..=600).contains(&slots.by_scopes.len()), "{}", slots.by_scopes.len());
        assert!(slots.of(vec!["299".to_owned()]).lock().await.is_good());
    }

    #[test]
    fn a_scope_covers_what_it_allows() {
        for (own, asked, covered) in [
            ("repository:a:pull,push", "repository:a:push,pull", true),
            ("repository:a:pull,push", "repository:a:pull", true),
            ("repository:a:pull", "repository:a:pull,push", false),
            ("repository:a:pull", "repository:b:pull", false),
            ("registry:catalog:*", "registry:catalog:*", true),
            ("odd", "odd", true),
        ] {
            assert_eq!(covers(own, asked), covered, "{own} {asked}");
        }
    }
}

//! [`Documents`]: what lies at any address, such as signatures beside a registry.
//!
//! **Invariants.** Nobody is told who asks: no credentials are sent. Proxies, certificates and retries are those of registries.
//!
//! *Not here:* what is asked for (`trust`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode, Url};

use super::failure::Failure;
use super::proxy::Proxies;
use super::request::{RequestBody, Supply};
use super::response::{Context, Response};
use super::retry::Retries;
use super::transport::{Order, Transport, describe};
use super::{Options, trust};
use crate::error::{Error, Result};

/// Gets documents from any hosts.
pub struct Documents {
    options: Options,
    hosts: Mutex<BTreeMap<String, Arc<Transport>>>,
}

impl Documents {
    /// Nothing is connected to before it is asked for.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options, hosts: Mutex::default() }
    }

    /// The document at `url`, if it is at most `limit_bytes`; `None` where there is none.
    pub async fn get(&self, url: &Url, limit_bytes: u64) -> Result<Option<Bytes>> {
        let what = describe(&Method::GET, url);
        let host = url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        let transport = self.transport(&host)?;
        let retries =
            Retries { further: self.options.retry_times, fixed: self.options.retry_delay, monitor: Arc::clone(&self.options.monitor) };
        let mut attempts = retries.begin(&what);
        loop {
            let order = Order { method: Method::GET, url: url.clone(), headers: HeaderMap::new(), authorization: None, moves: true };
            let (why, asked) = match transport.send(&order, &mut Supply::new(RequestBody::Empty)).await {
                Ok(answer) => {
                    let response = Response::new(answer, self.context(&host, attempts.made()));
                    if !response.is_transient() {
                        return of(response, limit_bytes, &what).await;
                    }
                    (response.refusal(&what).await, None)
                }
                Err(Failure::Transient(error)) => (error, None),
                Err(failure) => return Err(failure.into_error()),
            };
            let made = attempts.made();
            if !attempts.again(&why.to_string(), asked, false).await {
                return Err(Failure::Transient(why).after(made));
            }
        }
    }

    fn transport(&self, host: &str) -> Result<Arc<Transport>> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transport) = hosts.get(host) {
            return Ok(Arc::clone(transport));
        }
        let options = &self.options;
        let tls = trust::tls(host, &options.environment, options.certs.as_deref(), options.tls_verify != Some(false))?;
        let made = Arc::new(Transport::new(host, options.idle_timeout, tls, Proxies::new(&options.environment)?)?);
        hosts.insert(host.to_owned(), Arc::clone(&made));
        Ok(made)
    }

    fn context(&self, host: &str, tries: u32) -> Context {
        Context { host: host.to_owned(), method: Method::GET, idle_timeout: self.options.idle_timeout, tries, credentials: None }
    }
}

async fn of(response: Response, limit_bytes: u64, what: &str) -> Result<Option<Bytes>> {
    match response.status() {
        StatusCode::OK => response.bytes(limit_bytes, what).await.map(Some),
        StatusCode::NOT_FOUND => Ok(None),
        _ => Err(Error::failed(response.refusal(what).await.to_string())),
    }
}

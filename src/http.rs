//! The common ground of the HTTP clients for Genesys, the media hosts and the webhook's receiver.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, Url};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::error::Error;

/// Longest time that connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// `User-Agent` of every request.
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// Makes a client that follows no redirects, unless `adjust` says otherwise.
pub(crate) fn client(adjust: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Client, Error> {
    let failed = |error: String| Error::transient("starting the HTTP client failed").caused_by(error);
    let tls = TLS.clone().map_err(|error| failed(error.to_string()))?;
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(USER_AGENT);
    adjust(builder).build().map_err(|error| failed(error.to_string()))
}

/// The certificates of the system, which all clients of this process trust, read once. Each client would read them for
/// itself, and that was most of the function's start-up time.
static TLS: LazyLock<Result<ClientConfig, rustls::Error>> = LazyLock::new(|| {
    Ok(ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth())
});

/// Reads the certificates in the background, while the function starts.
pub(crate) fn begin() {
    std::thread::spawn(|| LazyLock::force(&TLS));
}

/// Returns `path` below a base URL, which may have a path of its own.
pub(crate) fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

/// Why a body was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    /// The body is longer than its limit.
    #[error("it is longer than {}", size(*.0))]
    TooLong(usize),
    /// The connection broke.
    #[error(transparent)]
    Broken(reqwest::Error),
}

/// Reads a body of at most `longest` bytes. Of a longer one, no more than that is ever in memory.
pub(crate) async fn read_within(mut response: Response, longest: usize) -> Result<Vec<u8>, Unread> {
    if response
        .content_length()
        .is_some_and(|announced| announced > longest as u64)
    {
        return Err(Unread::TooLong(longest));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Unread::Broken(error.without_url()))?
    {
        if body.len() + chunk.len() > longest {
            return Err(Unread::TooLong(longest));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Writes a bound as people read it.
fn size(bytes: usize) -> String {
    const MIB: usize = 1024 * 1024;
    match bytes {
        MIB.. => format!("{} MiB", bytes / MIB),
        _ => format!("{} KiB", bytes / 1024),
    }
}

/// Reads the header `Date`.
#[cfg(feature = "cli")]
pub(crate) fn date(header: &str) -> Option<jiff::Timestamp> {
    let parsed = jiff::fmt::rfc2822::parse(header);
    parsed.ok().map(|zoned| zoned.timestamp())
}

/// Reads `Retry-After` in seconds. Genesys sends whole seconds; the date form of RFC 9110 is not used there.
pub(crate) fn retry_after(headers: &reqwest::header::HeaderMap) -> Option<Duration> {
    headers
        .get(reqwest::header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_with_a_path_keeps_it() {
        let base = Url::parse("https://proxy.example/genesys/").unwrap();
        assert_eq!(
            join(&base, "/api/v2/x").as_str(),
            "https://proxy.example/genesys/api/v2/x"
        );
    }
}

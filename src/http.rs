//! What the HTTP clients of Genesys, the media hosts and the webhook's receiver have in common.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Url};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::error::Error;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// `User-Agent` of every request.
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// A client that follows no redirects, unless `adjust` says otherwise.
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

/// What all clients of this process trust: the certificates of the system, read once. Each client would read them for
/// itself, and that was most of the time that the function took to start.
static TLS: LazyLock<Result<ClientConfig, rustls::Error>> = LazyLock::new(|| {
    Ok(ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth())
});

/// Reads the certificates beside whatever else has to be done at the start.
pub(crate) fn begin() {
    std::thread::spawn(|| LazyLock::force(&TLS));
}

/// `path` below a base URL that may have a path of its own.
pub(crate) fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

/// Reads the header `Date`.
#[cfg(feature = "cli")]
pub(crate) fn date(header: &str) -> Option<jiff::Timestamp> {
    let parsed = jiff::fmt::rfc2822::parse(header);
    parsed.ok().map(|zoned| zoned.timestamp())
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

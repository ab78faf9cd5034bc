//! The download: from a signed URL or from the tutorial's endpoint, checked for error pages, resumed where it broke.

mod answer;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt as _};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use tokio::time::timeout;

use self::answer::{
    check_head, check_headers, content_length, content_range, content_type, refusal, strong_e_tag,
};
use super::api::{self, Api};
use super::listing::{Location, SignedUrl, Source};
use crate::clock::Deadline;
use crate::config::{Config, MediaHosts, is_public};
use crate::error::Error;
use crate::http;
use crate::http::retry_after;
use crate::retry::{Retry, RetryPolicy, patience};

/// The client for media hosts.
#[derive(Debug)]
pub(super) struct MediaClient {
    http: Client,
    base: Url,
    hosts: MediaHosts,
    policy: RetryPolicy,
    /// Longest silence that is waited for. The timer runs only while the source is waited for, never while S3 is.
    idle: Duration,
}

/// The body of one file on its way in.
pub struct Media<'a> {
    /// `Content-Type` as sent, without parameters, in lower case.
    pub content_type: Option<String>,
    /// The first bytes, which the stream gives too.
    pub head: Bytes,
    /// Its length in bytes, as far as the host announced it.
    pub length: Option<u64>,
    /// The host that sent it, after all redirects.
    pub host: String,
    stream: BoxStream<'a, Result<Bytes, Error>>,
}

impl fmt::Debug for Media<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Media")
            .field("content_type", &self.content_type)
            .finish_non_exhaustive()
    }
}

impl<'a> Media<'a> {
    /// Returns all bytes from the first to the last. Ends with an error when they are fewer than announced.
    pub fn into_stream(self) -> BoxStream<'a, Result<Bytes, Error>> {
        self.stream
    }
}

/// Most redirects that are followed.
const MOST_REDIRECTS: usize = 5;

impl MediaClient {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let (policy, idle) = (config.limits.retry_policy(), config.limits.media_idle);
        let config = &config.genesys;
        let hosts = config.media_hosts.clone();
        let redirects =
            Policy::custom(
                move |attempt| match may_follow(&hosts, attempt.previous(), attempt.url()) {
                    Ok(()) => attempt.follow(),
                    Err(why) => attempt.error(why),
                },
            );
        // A Referer would carry the signature to the next host.
        let http = http::client(|builder| {
            let builder = builder.redirect(redirects).referer(false);
            match &config.media_hosts {
                MediaHosts::Any => builder,
                MediaHosts::Within(_) => builder.dns_resolver(Arc::new(PublicOnly {
                    except: config.api_base.clone(),
                })),
            }
        })?;
        Ok(Self {
            http,
            base: config.api_base.clone(),
            hosts: config.media_hosts.clone(),
            policy,
            idle,
        })
    }

    pub(super) async fn fetch<'a>(
        &'a self,
        api: &'a Api,
        source: &'a Source,
        deadline: &'a Deadline,
        retry: &mut Retry<'_>,
    ) -> Result<Media<'a>, Error> {
        let response = self.send(api, source, None, deadline, retry).await?;
        let headers = response.headers();
        let content_type = content_type(headers);
        let host = response.url().host_str().unwrap_or_default().to_owned();
        check_headers(response.status(), headers, content_type.as_deref(), source.media)?;
        let length = content_length(headers);
        let mut download = Download {
            total: length,
            e_tag: strong_e_tag(headers),
            received: 0,
            head: Bytes::new(),
            client: self,
            api,
            source,
            deadline,
            retry: Retry::new(self.policy, deadline),
            response,
        };
        let head = download.read_head().await?;
        check_head(&head, source.media)?;
        let rest = futures_util::stream::try_unfold(download, |mut download| async move {
            Ok(download.next().await?.map(|bytes| (bytes, download)))
        });
        let first = futures_util::stream::once(std::future::ready(Ok(head.clone())));
        Ok(Media {
            content_type,
            head,
            length,
            host,
            stream: first.chain(rest).boxed(),
        })
    }

    /// Sends the request, from byte `from` on if the object is still the one with that ETag.
    async fn send(
        &self,
        api: &Api,
        source: &Source,
        from: Option<(u64, &str)>,
        deadline: &Deadline,
        retry: &mut Retry<'_>,
    ) -> Result<Response, Error> {
        let range = |request: RequestBuilder| match from {
            None => request,
            Some((byte, e_tag)) => request
                .header(header::RANGE, format!("bytes={byte}-"))
                .header(header::IF_RANGE, e_tag),
        };
        match &source.location {
            Location::Api { path, query, accept } => {
                let mut url = http::join(&self.base, path);
                url.query_pairs_mut().extend_pairs(query);
                let build = |token: &_| {
                    range(api::bearer(self.http.get(url.clone()), token)).header(header::ACCEPT, *accept)
                };
                let asking = api.authorised("the recording's media", deadline, retry, build);
                Ok(asking.await?.2)
            }
            Location::Signed(signed) => {
                let url = self.checked(signed)?;
                loop {
                    let asking = range(self.http.get(url.clone())).send();
                    let (error, asked) = match timeout(self.idle, asking).await {
                        Err(_) => (Error::transient("the media host gave no answer"), None),
                        Ok(Ok(response)) if response.status().is_success() => return Ok(response),
                        Ok(Ok(response)) => {
                            let (status, asked) = (response.status(), retry_after(response.headers()));
                            if !(status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS) {
                                return Err(refusal(status));
                            }
                            (refusal(status), patience(status, asked))
                        }
                        Ok(Err(error)) => {
                            // The same URL would lead to the same place.
                            let for_good = error.is_redirect();
                            let error = Error::transient("asking the media host failed")
                                .caused_by(error.without_url());
                            if for_good {
                                return Err(error);
                            }
                            (error, None)
                        }
                    };
                    retry.wait(error, asked).await?;
                }
            }
        }
    }

    /// Reads a document of at most `longest` bytes from a signed URL, which hosts of media serve.
    pub(super) async fn document(
        &self,
        signed: &SignedUrl,
        longest: usize,
        deadline: &Deadline,
    ) -> Result<Vec<u8>, Error> {
        let url = self.checked(signed)?;
        let mut retry = Retry::new(self.policy, deadline);
        loop {
            let asking = async {
                let response = self.http.get(url.clone()).send().await;
                let response = response.map_err(|error| {
                    Error::transient("asking the media host failed").caused_by(error.without_url())
                })?;
                if !response.status().is_success() {
                    return Err(refusal(response.status()));
                }
                let read = http::read_within(response, longest).await;
                read.map_err(|error| Error::transient("the document broke off").caused_by(error))
            };
            let error = match timeout(self.idle, asking).await {
                Ok(Ok(body)) => return Ok(body),
                Ok(Err(error)) => error,
                Err(_) => Error::transient("the media host gave no answer"),
            };
            retry.wait(error, None).await?;
        }
    }

    /// Returns the URL, if its host may serve media and it can be sent byte for byte as it was signed.
    fn checked(&self, signed: &SignedUrl) -> Result<Url, Error> {
        let signed = signed.expose();
        let refuse = |why: &str| Err(Error::transient(format!("Genesys gave a media URL {why}")));
        let Ok(url) = Url::parse(signed) else {
            return refuse("that is not a URL");
        };
        if url.scheme() != "https" && url.scheme() != self.base.scheme() {
            return refuse("that is not https");
        }
        if let Err(why) = self.hosts.check(&url) {
            return refuse(&why);
        }
        // Parsing may rewrite signed characters (`..`, spaces, quotes), and the host would refuse the request.
        let after_host = signed
            .find("://")
            .and_then(|at| signed[at + 3..].find('/').map(|slash| at + 3 + slash));
        let as_signed = after_host.map(|at| &signed[at..]);
        let as_sent = url.query().map_or_else(
            || url.path().to_owned(),
            |query| format!("{}?{query}", url.path()),
        );
        if as_signed != Some(as_sent.as_str()) {
            return refuse("that cannot be sent byte for byte as it was signed");
        }
        Ok(url)
    }
}

/// Checks whether a redirect is followed, from the URLs before it to `next`.
fn may_follow(hosts: &MediaHosts, before: &[Url], next: &Url) -> Result<(), String> {
    let same_scheme = before
        .first()
        .is_some_and(|first| first.scheme() == next.scheme());
    if !same_scheme || before.len() > MOST_REDIRECTS {
        return Err("redirects to another scheme, and more than five, are not followed".to_owned());
    }
    hosts
        .check(next)
        .map_err(|why| format!("a redirect leads to a media URL {why}"))
}

/// Resolves names to public addresses only: a name that may serve media must not lead to a machine inside.
#[derive(Debug)]
struct PublicOnly {
    /// The base URL of the API, which the operator chose: it may be a proxy inside.
    except: Url,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let chosen = self.except.host_str() == Some(name.as_str());
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            match found.iter().find(|address| !chosen && !is_public(address.ip())) {
                None => Ok(Box::new(found.into_iter()) as Addrs),
                Some(inside) => {
                    let (host, address) = (crate::redact::quote(name.as_str()), inside.ip());
                    Err(
                        format!("the media host {host} has the address {address}, which is not a public one")
                            .into(),
                    )
                }
            }
        })
    }
}

/// A download in progress. Survives broken connections where the server allows it.
struct Download<'a> {
    client: &'a MediaClient,
    api: &'a Api,
    source: &'a Source,
    deadline: &'a Deadline,
    retry: Retry<'a>,
    response: Response,
    head: Bytes,
    received: u64,
    total: Option<u64>,
    e_tag: Option<String>,
}

impl Download<'_> {
    /// Returns the next bytes; `None` once all announced bytes are here.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let broken = match timeout(self.client.idle, self.response.chunk()).await {
                Err(_) => Error::transient("no byte came for too long"),
                Ok(Ok(Some(chunk))) => {
                    self.received += chunk.len() as u64;
                    self.retry.progressed();
                    return Ok(Some(chunk));
                }
                Ok(Ok(None)) if self.total.is_none_or(|total| total == self.received) => {
                    self.check_riff()?;
                    return Ok(None);
                }
                Ok(Ok(None)) => Error::transient("the body ended early"),
                Ok(Err(error)) => Error::transient("the connection broke").caused_by(error.without_url()),
            };
            let of = self
                .total
                .map_or_else(String::new, |total| format!(" of {total}"));
            let broken = Error::transient(format!("the media broke off at byte {}{of}", self.received))
                .caused_by(broken);
            self.resume(broken).await?;
        }
    }

    /// Resumes at the next byte, if the server can prove that it is still the same object. Otherwise the whole file
    /// has to be fetched again, as the hash so far may be of other bytes.
    async fn resume(&mut self, broken: Error) -> Result<(), Error> {
        // Without a first byte there is nothing to resume.
        let Some(e_tag) = self.e_tag.clone().filter(|_| self.received > 0) else {
            return Err(broken);
        };
        self.retry.wait(broken, None).await?;
        let response = self
            .client
            .send(
                self.api,
                self.source,
                Some((self.received, &e_tag)),
                self.deadline,
                &mut self.retry,
            )
            .await?;
        let range = content_range(response.headers());
        let continues = response.status() == StatusCode::PARTIAL_CONTENT
            && range.is_some_and(|(first, total)| {
                // A chunked body announced no length: then this answer does.
                first == self.received && (self.total.is_none() || total == self.total)
            })
            && strong_e_tag(response.headers()).is_none_or(|now| now == e_tag);
        if !continues {
            return Err(Error::transient(format!(
                "the media cannot be resumed at byte {}: it changed, or the host does not serve ranges",
                self.received
            )));
        }
        tracing::info!(from_byte = self.received, "media download resumed");
        self.total = self.total.or(range.and_then(|(_, total)| total));
        self.response = response;
        Ok(())
    }

    /// Reads until media can be distinguished from an error page.
    async fn read_head(&mut self) -> Result<Bytes, Error> {
        let mut head = BytesMut::new();
        while head.len() < HEAD {
            match self.next().await? {
                Some(chunk) => head.extend_from_slice(&chunk),
                None => break,
            }
            self.head = head.clone().freeze();
        }
        Ok(head.freeze())
    }

    /// Refuses a WAV file that is shorter than its header says, even where HTTP announced no length. Streaming
    /// encoders that do not know write 0 or something near a maximum.
    /// <https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html>
    fn check_riff(&self) -> Result<(), Error> {
        let head = &self.head;
        let riff = head.len() >= 16 && &head[..4] == b"RIFF" && &head[8..16] == b"WAVEfmt ";
        let announced = match head.get(4..8) {
            Some(&[a, b, c, d]) if riff => u64::from(u32::from_le_bytes([a, b, c, d])),
            _ => return Ok(()),
        };
        if announced == 0 || announced >= RIFF_UNKNOWN || announced + 8 <= self.received {
            return Ok(());
        }
        Err(Error::transient(format!(
            "the media is truncated: its WAV header announces {} bytes, {} came",
            announced + 8,
            self.received
        )))
    }
}

/// From here on a RIFF length is a placeholder: encoders use the maximum of a signed or unsigned 32-bit number, or a
/// little less.
const RIFF_UNKNOWN: u64 = 0x7FFF_0000;

/// Enough for every signature in [`crate::domain::format::sniff`].
const HEAD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn of_germany() -> MediaClient {
        let config = crate::config::Config::from_lookup(|name| {
            Some(match name {
                "GENESYS_CLOUD_REGION" => "eu-central-1".to_owned(),
                "GENESYS_SECRET_ID" | "S3_BUCKET_NAME" | "AUDIT_TABLE_NAME" | "LEDGER_TABLE_NAME" => {
                    name.to_lowercase().replace('_', "-")
                }
                _ => return None,
            })
        });
        MediaClient::new(&config.unwrap()).unwrap()
    }

    #[test]
    fn a_url_at_another_host_is_not_followed_and_its_signature_not_shown() {
        let client = of_germany();
        let signed = |host: &str| SignedUrl::new(format!("https://{host}/x%3Ay?Signature=LEAKED"));
        assert!(client.checked(&signed("api-downloads.mypurecloud.de")).is_ok());
        let refused = client.checked(&signed("evil.example")).unwrap_err().to_string();
        assert!(
            refused.contains("\"evil.example\"") && refused.contains("GENESYS_MEDIA_HOSTS"),
            "{refused}"
        );
        assert!(!refused.contains("LEAKED"), "{refused}");
    }

    #[test]
    fn a_redirect_to_another_host_or_scheme_is_not_followed() {
        let hosts = of_germany().hosts;
        let urls = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| Url::parse(text).unwrap())
                .collect::<Vec<_>>()
        };
        let first = "https://api-downloads.mypurecloud.de/x";
        for (next, why) in [
            ("https://d1.cloudfront.net/x?Signature=LEAKED", None),
            (
                "https://evil.example/x?Signature=LEAKED",
                Some("GENESYS_MEDIA_HOSTS"),
            ),
            ("https://169.254.169.254/latest/meta-data", Some("IP address")),
            ("http://d1.cloudfront.net/x", Some("another scheme")),
        ] {
            let followed = may_follow(&hosts, &urls(&[first]), &urls(&[next])[0]);
            assert_eq!(followed.is_ok(), why.is_none(), "{next}");
            let told = followed.err().unwrap_or_default();
            assert!(
                told.contains(why.unwrap_or_default()) && !told.contains("LEAKED"),
                "{told}"
            );
        }
        assert!(may_follow(&hosts, &urls(&[first; 6]), &urls(&[first])[0]).is_err());
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_asked() {
        let asked = of_germany()
            .http
            .get("https://localhost:1/x?Signature=LEAKED")
            .send()
            .await;
        let error = crate::error::chain(&asked.unwrap_err().without_url());
        assert!(
            error.contains("\"localhost\"") && error.contains("not a public one"),
            "{error}"
        );
        assert!(!error.contains("LEAKED"), "{error}");
    }
}

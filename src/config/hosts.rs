//! Hosts: which belong to this machine, and which may serve media.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// Where Genesys keeps media, whatever the region.
const ALWAYS: [&str; 2] = ["amazonaws.com", "cloudfront.net"];

/// Which hosts may serve media: those whose name is, or ends in, one of a list of domains.
///
/// Media becomes evidence, so it must not come from wherever an answer points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaHosts {
    /// The API is on this machine, so it is a simulator or a proxy: any host will do.
    Any,
    /// Only hosts in these domains, by https.
    Within(Vec<String>),
}

impl MediaHosts {
    /// Makes the list for an API at `api_base`: `more`, the organisation's domain, and where Genesys always keeps
    /// media.
    pub(super) fn new(api_base: &Url, domain: Option<&str>, more: Vec<String>) -> Self {
        if is_local(api_base) {
            return Self::Any;
        }
        // The base URL holds the domain of a region that this version does not know.
        let of_base = api_base.host_str().and_then(|host| host.strip_prefix("api."));
        let domains = ALWAYS.into_iter().chain(domain).chain(of_base).map(str::to_owned);
        Self::Within(domains.chain(more).collect())
    }

    /// Says what is wrong with a URL as a place to get media from; the text follows "a media URL".
    pub fn check(&self, url: &Url) -> Result<(), String> {
        let Self::Within(domains) = self else {
            return Ok(());
        };
        if url.scheme() != "https" {
            return Err("that is not https".to_owned());
        }
        let host = url.host_str().unwrap_or_default();
        let shown = crate::redact::quote(host);
        let Some(name) = url.domain() else {
            return Err(format!("at {shown}, an IP address instead of a host's name"));
        };
        let name = name.trim_end_matches('.');
        let within = |domain: &String| {
            name.strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        if domains.iter().any(within) {
            return Ok(());
        }
        Err(format!(
            "at {shown}, which is in none of {}; if media may come from there, add the host to GENESYS_MEDIA_HOSTS",
            domains.join(", ")
        ))
    }
}

/// Reads `GENESYS_MEDIA_HOSTS`: names of hosts or domains, separated by commas.
pub(super) fn media_hosts(text: &str) -> Option<Vec<String>> {
    let names = text.split(',').map(|name| name.trim().to_ascii_lowercase());
    let fits = |name: &String| is_domain(name) && name.parse::<IpAddr>().is_err();
    names.map(|name| Some(name).filter(fits)).collect()
}

/// Returns whether a URL leads to this machine. `host.docker.internal` is this machine as a container of it sees it.
pub fn is_local(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost" | "host.docker.internal") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

/// Returns whether an address belongs to the public internet: neither private, local, reserved nor multicast.
/// <https://www.iana.org/assignments/iana-ipv4-special-registry/>,
/// <https://www.iana.org/assignments/iana-ipv6-special-registry/>.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = a == 0
        || (a == 100 && (64..128).contains(&b)) // carriers' own
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b)) // benchmarks
        || a >= 240;
    !(special
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // Global unicast, less documentation, and less what carries an IPv4 address: NAT64 is outside of 2000::/3.
    let carries_v4 = segments[0] == 0x2002 || (segments[0] == 0x2001 && segments[1] == 0);
    segments[0] & 0xE000 == 0x2000 && !carries_v4 && !(segments[0] == 0x2001 && segments[1] == 0xDB8)
}

pub(super) fn is_label(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

pub(super) fn is_domain(text: &str) -> bool {
    text.contains('.') && text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn of_germany() -> MediaHosts {
        let api = url("https://api.mypurecloud.de");
        MediaHosts::new(&api, Some("mypurecloud.de"), vec!["media.example.com".to_owned()])
    }

    #[test]
    fn media_comes_from_the_organisation_and_from_aws() {
        for good in [
            "https://api-downloads.mypurecloud.de/MediaCache/x?Signature=y",
            "https://mypurecloud.de/x",
            "https://d111111abcdef8.cloudfront.net/x",
            "https://bucket.s3.eu-central-1.amazonaws.com/x",
            "https://API-Downloads.MyPureCloud.DE./x",
            "https://media.example.com:8443/x",
        ] {
            assert_eq!(of_germany().check(&url(good)), Ok(()), "{good}");
        }
    }

    #[test]
    fn media_from_elsewhere_is_refused_with_the_host_and_the_variable() {
        for (bad, mentions) in [
            ("https://evil.example/x?Signature=LEAKED", "GENESYS_MEDIA_HOSTS"),
            ("https://evilmypurecloud.de/x", "evilmypurecloud.de"),
            ("https://mypurecloud.de.evil.example/x", "evil.example"),
            ("https://example.com/x", "example.com"),
            ("https://localhost/x", "localhost"),
            ("https://10.0.0.1/x", "10.0.0.1"),
            ("https://[::1]/x", "IP address"),
            ("https://2130706433/x", "127.0.0.1"),
            ("https://0x7f.1/x", "127.0.0.1"),
            ("http://api-downloads.mypurecloud.de/x", "https"),
            ("ftp://api-downloads.mypurecloud.de/x", "https"),
        ] {
            let refused = of_germany().check(&url(bad)).unwrap_err();
            assert!(
                refused.contains(mentions) && !refused.contains("LEAKED"),
                "{bad}: {refused}"
            );
        }
    }

    #[test]
    fn an_api_on_this_machine_may_name_any_host() {
        for local in [
            "http://127.0.0.1:9101",
            "http://localhost:1",
            "http://[::1]:1",
            "http://host.docker.internal:1",
        ] {
            let hosts = MediaHosts::new(&url(local), None, Vec::new());
            assert_eq!(hosts.check(&url("http://127.0.0.1:9102/x")), Ok(()));
        }
    }

    #[test]
    fn a_region_that_is_not_known_tells_its_domain_by_its_base_url() {
        let hosts = MediaHosts::new(&url("https://api.new1.pure.cloud"), None, Vec::new());
        assert_eq!(
            hosts.check(&url("https://api-downloads.new1.pure.cloud/x")),
            Ok(())
        );
        assert!(
            hosts
                .check(&url("https://api-downloads.other.pure.cloud/x"))
                .is_err()
        );
    }

    #[test]
    fn only_names_are_media_hosts() {
        let names = |text: &str| media_hosts(text);
        assert_eq!(names("a.example, B.example").unwrap(), ["a.example", "b.example"]);
        for bad in [
            "",
            "a.example,",
            "com",
            "https://a.example",
            "*.a.example",
            "10.0.0.1",
            "a.example/x",
            "localhost",
        ] {
            assert_eq!(names(bad), None, "{bad}");
        }
    }

    #[test]
    fn private_and_special_addresses_are_not_public() {
        for (address, public) in [
            ("52.95.110.1", true),
            ("1.1.1.1", true),
            ("2600:9000::1", true),
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("198.18.0.1", false),
            ("192.0.2.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("::", false),
            ("::ffff:10.0.0.1", false),
            ("::ffff:52.95.110.1", true),
            ("fe80::1", false),
            ("fd00:ec2::254", false),
            ("ff02::1", false),
            ("2001:db8::1", false),
            ("2002:a00:1::", false),
            ("64:ff9b::a00:1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }
}

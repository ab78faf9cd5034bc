//! Hosts whose TLS no client should accept: with a certificate that nobody vouches for, without TLS, and gone in the
//! middle of the handshake.

use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;

#[derive(Debug, Clone, Copy)]
enum Host {
    Untrusted,
    WithoutTls,
    HangsUp,
}

const HOSTS: [Host; 3] = [Host::Untrusted, Host::WithoutTls, Host::HangsUp];

impl Host {
    /// Serves until the test ends; gives the host's base URL.
    async fn serve(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let acceptor = acceptor();
        tokio::spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                match self {
                    Self::Untrusted => {
                        let refused = acceptor.accept(connection).await.map(drop);
                        assert!(refused.is_err(), "the client went on talking");
                    }
                    Self::WithoutTls => {
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                        connection.write_all(answer).await.unwrap();
                    }
                    Self::HangsUp => drop(connection),
                }
            }
        });
        url
    }
}

fn acceptor() -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Returns an error with all its causes.
fn told(answer: &Answer) -> String {
    answer.as_ref().unwrap_err().to_string()
}

#[tokio::test]
async fn genesys_behind_broken_tls_is_asked_again_and_told_apart_in_the_error() {
    for variable in ["GENESYS_API_BASE_URL", "GENESYS_LOGIN_BASE_URL"] {
        for host in HOSTS {
            let bench = Bench::with_a_call().await;
            let url = host.serve().await;
            let answer = invoke(&bench.handler(&[(variable, &url)]), job()).await;
            let text = told(&answer);
            assert!(text.contains("asking Genesys for"), "{host:?}: {text}");
            if let Host::Untrusted = host {
                assert!(text.contains("certificate"), "{text}");
            }
            bench
                .assert_ended(answer, Ending::Retry, About::Conversation)
                .await;
            bench.assert_next_run_archives(&call_sha256()).await;
        }
    }
}

#[tokio::test]
async fn a_media_host_behind_broken_tls_leaves_nothing_and_its_signature_in_no_text() {
    for host in HOSTS {
        let bench = Bench::with_a_call().await;
        let uri = format!("{}/call.wav?Signature=LEAKED", host.serve().await);
        let body = json!({"id": RECORDING, "conversationId": CONVERSATION, "media": "audio", "fileState": "AVAILABLE",
                          "mediaUris": {"S": {"mediaUri": uri}}});
        let fault = respond(200, "application/json", body.to_string());
        bench
            .world
            .wire
            .disturb(move |e| (e.operation == "recording").then(|| fault.clone()));
        let answer = bench.invoke(job()).await;
        assert!(
            told(&answer).contains("asking the media host failed"),
            "{answer:?}"
        );
        bench.assert_ended(answer, Ending::Retry, About::Recording).await;
        bench.assert_next_run_archives(&call_sha256()).await;
    }
}

#[tokio::test]
async fn a_receiver_behind_broken_tls_is_told_later() {
    for host in HOSTS {
        let bench = Bench::with_a_call().await;
        let url = host.serve().await;
        let summary = invoke(&bench.handler(&[("WEBHOOK_URL", &url)]), job())
            .await
            .unwrap();
        assert_eq!(outcomes(&summary), ["deferred"], "{host:?}");
        bench.assert_stored(&call_sha256()).await;
        let (again, _) = bench.deferred().remove(0);
        assert_eq!(
            outcomes(&bench.invoke(again).await.unwrap()),
            ["already_archived"]
        );
        assert_eq!(bench.state(RECORDING).await, Some(State::Notified));
    }
}

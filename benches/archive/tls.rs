//! What production pays for TLS: ends of it before the simulators, with certificates of an authority that is thrown
//! away, and the figures of a recording that passes them on both sides.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::accounts::median;
use super::large::{GIB, fresh, hashing_alone};
use super::table::{Row, Target};
use super::{Bench, Result, peers};

/// The line that the smallest function is to fill, in bytes a second: 0.6 Gbit/s.
const LINE: f64 = 0.6e9 / 8.0;

/// The memory that Lambda gives a whole CPU for, in MB.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
const WHOLE_CPU: f64 = 1_769.0;

/// Where the simulators are.
const HOST: &str = "127.0.0.1";

/// The end of TLS before servers of this machine that speak plain HTTP.
pub(crate) struct Front {
    acceptor: TlsAcceptor,
}

impl Front {
    /// Makes an authority and a certificate of it, and writes the own one of the authority where clients find it.
    pub(crate) fn new(authority: &Path) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        std::fs::write(authority, issuer.pem())?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([HOST.to_owned()])?.signed_by(&key, &issuer)?;
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der())?,
        )?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    /// Returns the base URL under which this server is reached by TLS.
    pub(crate) async fn before(&self, port: u16) -> Result<String> {
        let listener = TcpListener::bind((HOST, 0)).await?;
        let url = format!("https://{HOST}:{}", listener.local_addr()?.port());
        let acceptor = self.acceptor.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(passed(acceptor.clone(), client, port));
            }
        });
        Ok(url)
    }
}

/// Carries the bytes of a connection in both directions. A broken one is for the client to notice.
async fn passed(acceptor: TlsAcceptor, client: TcpStream, port: u16) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut client = acceptor.accept(client).await?;
    let mut server = TcpStream::connect((HOST, port)).await?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional_with_sizes(&mut client, &mut server, 64 * 1024, 256 * 1024).await?;
    Ok(())
}

/// Measures CPU time and memory of recordings that come and go by TLS, beside rclone and SHA-256 in the same run.
pub(crate) async fn both_sides(bench: &mut Bench) -> Result<()> {
    bench.simulators.secure(true).await?;
    let measured = measure(bench).await;
    bench.simulators.secure(false).await?;
    measured
}

async fn measure(bench: &mut Bench) -> Result<()> {
    let rclone = peers::rclone();
    if let Err(error) = &rclone {
        let word = format!("TLS without rclone, as it could not be installed: {error}");
        bench.notes.push(word);
    }
    let (mut ours, mut peaks, mut passes, mut ratios) = (vec![], vec![], vec![], vec![]);
    let per_gib = GIB / bench.gib as f64;
    for _ in 0..bench.repeats {
        let run = fresh(bench, bench.gib).await?;
        let cpu = run.cost.cpu.seconds();
        passes.push(cpu / hashing_alone(bench.gib)?);
        if let Ok(rclone) = &rclone {
            ratios.push(cpu / peers::copied(bench, rclone).await?);
        }
        ours.push(cpu * per_gib);
        peaks.push(run.peak);
    }
    let cpu = median(ours);
    bench.rows.extend([
        Row::new("TLS on both sides: CPU per GiB", Target::None, cpu, "s"),
        Row::new("  in passes of SHA-256", Target::AtMost(3.3), median(passes), "x"),
    ]);
    if !ratios.is_empty() {
        let figure = "  by that of rclone with TLS";
        bench
            .rows
            .push(Row::new(figure, Target::AtMost(0.6), median(ratios), "x"));
    }
    let least = cpu * LINE / GIB * WHOLE_CPU;
    bench.rows.extend([
        Row::new(
            "  memory whose CPU fills 0.6 Gbit/s",
            Target::AtMost(320.0),
            least,
            "MB",
        ),
        Row::new(
            "  peak memory, one recording",
            Target::AtMost(64.0),
            median(peaks),
            "MiB",
        ),
    ]);
    let four = super::large::peak_of_four(bench).await?;
    bench.rows.push(Row::new(
        "  peak memory, four at once",
        Target::AtMost(200.0),
        four,
        "MiB",
    ));
    Ok(())
}

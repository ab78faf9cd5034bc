//! The page on which people listen: a server on loopback, which nobody else reaches and which ends with its reader.

mod answer;
mod arrivals;
mod call;
mod quiet;
mod range;
mod routes;
mod search;
mod state;

use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::IsTerminal as _;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::SignedDuration;
use recording_archiver::domain::recording::ConversationId;
use recording_archiver::ops::play::{Call, Figures};
use recording_archiver::ops::{Error, Kind, Session};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};

use crate::args;
use crate::out::Out;
use crate::text::{HEAD, Text};
use crate::verify;
use arrivals::arrivals;
use state::Site;
pub(crate) use state::{Form, Found, Search};

/// Most connections at a time over which nobody asked yet who knows the page's URL.
const STRANGERS: usize = 64;
/// Time in which a request has to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of every page.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SiteArgs {
    /// Close the page after this time without a request: 30s, 15m or 2h.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = args::span)]
    close_after: SignedDuration,
}

/// What a page shows.
pub(crate) enum Shown<'a> {
    /// One call.
    Call(ConversationId, Arc<Call<'a>>),
    /// A search, with the fields that it begins with.
    Search(&'a Search<'a>, Form),
}

/// Shows a page until Ctrl-C, or until nobody asked for anything for some time. Returns what became of the calls.
pub(crate) async fn serve<'a>(
    (session, out): (&'a Session, &'a Out),
    args: &SiteArgs,
    reason: &str,
    shown: Shown<'a>,
) -> Result<Figures, Error> {
    let listening = async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        Ok((listener, port))
    };
    let (listener, port) = listening.await.map_err(|error: std::io::Error| broken(&error))?;
    let (jobs, mut ahead) = mpsc::unbounded_channel();
    let authority = format!("{}:{port}", Ipv4Addr::LOCALHOST);
    let mut site = Site::new((session, out.zone()), authority, reason, jobs);
    let below = match shown {
        Shown::Call(conversation, call) => {
            site.add(conversation, call);
            format!("call/{conversation}")
        }
        Shown::Search(search, form) => {
            site.search = Some(search);
            site.form = form;
            String::new()
        }
    };
    report(&site, out);
    announce(&format!("http://{}/{}/{below}", site.authority, site.token), out);
    let idle = args.close_after.unsigned_abs();
    let mut work: FuturesUnordered<Pin<Box<dyn Future<Output = ()> + '_>>> = FuturesUnordered::new();
    let mut strangers = VecDeque::new();
    let accept = async || listener.accept().await.map(|(stream, _)| stream);
    let mut arrivals = std::pin::pin!(arrivals(accept, |error| {
        out.note(format!("the page takes no more connections for now: {error}"));
    }));
    loop {
        tokio::select! {
            Some(arrived) = arrivals.next() => {
                let stream = arrived.map_err(|error| broken(&error))?;
                let stranger = Rc::<Stranger>::default();
                // One that is known, or whose connection ended, is in nobody's way.
                strangers.retain(|one: &Weak<Stranger>| one.upgrade().is_some_and(|one| !one.known.get()));
                strangers.push_back(Rc::downgrade(&stranger));
                if strangers.len() > STRANGERS
                    && let Some(oldest) = strangers.pop_front().and_then(|oldest| oldest.upgrade())
                {
                    oldest.leave.notify_one();
                }
                work.push(Box::pin(connection(&site, stream, stranger)));
            }
            Some((call, track)) = ahead.recv() => work.push(Box::pin(async move { call.check(&track).await })),
            Some(()) = work.next() => report(&site, out),
            () = session.interruption() => break,
            () = site.quiet.lasts(idle) => {
                out.note(Text::new("closed: nobody asked for anything for a while"));
                break;
            }
        }
    }
    drop(work);
    report(&site, out);
    Ok(site.figures().await)
}

fn broken(error: &std::io::Error) -> Error {
    Error::new(
        Kind::Output,
        format!("the page cannot be shown on 127.0.0.1: {error}"),
    )
}

/// The other end of a connection, until a request shows that it knows the page's URL.
#[derive(Default)]
struct Stranger {
    known: Cell<bool>,
    /// Others wait for its place.
    leave: Notify,
}

/// Answers the requests of one connection. A browser that goes away in the middle of an answer breaks nothing.
async fn connection(site: &Site<'_>, stream: TcpStream, stranger: Rc<Stranger>) {
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let refused = routes::refused(site, &request);
        stranger.known.set(stranger.known.get() || refused.is_none());
        async move {
            match refused {
                Some(refused) => Ok::<_, Infallible>(refused),
                None => Ok(Box::pin(routes::answer(site, request)).await),
            }
        }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    let mut serving = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // There is nobody to tell.
        _ = &mut serving => {}
        () = stranger.leave.notified() => {
            if stranger.known.get() {
                let _ = serving.await;
            }
        }
    }
}

/// Reports the findings that are new.
fn report(site: &Site<'_>, out: &Out) {
    for finding in site.fresh() {
        out.item(&finding, || verify::finding(&finding));
    }
}

/// Says where the page is, and opens it for somebody at a terminal.
fn announce(url: &str, out: &Out) {
    #[derive(Serialize)]
    struct Item<'a> {
        url: &'a str,
    }
    out.item(&Item { url }, || {
        // Alone on its line, so that nothing is copied with it.
        Text::new("the page, until Ctrl-C:").line().style(HEAD, url)
    });
    if out.is_json() || !std::io::stdout().is_terminal() {
        return;
    }
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let mut command = Command::new(opener);
    command
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if command.spawn().is_err() {
        out.note(Text::new("no browser was opened: open the page yourself"));
    }
}

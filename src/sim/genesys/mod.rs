//! Genesys Cloud: login and API on one port, the host of the signed media URLs on another.
//!
//! Built after docs/genesys.md. Where that says unverified, the
//! simulator is strict or configurable. A [`Genesys`] is a handle: what it simulates can be changed
//! while it runs, time included ([`Genesys::advance`]), so that no test needs to wait.

mod analytics;
mod annotations;
mod answer;
mod api;
mod batch;
mod bodies;
mod content;
mod conversation;
mod delivery;
mod events;
mod format;
mod interaction;
mod limit;
mod login;
mod media;
mod model;
mod naming;
mod orphan;
mod permissions;
mod recording;
mod signing;
mod state;
mod transcripts;
mod wav;
mod wish;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::site::{Ports, Site};
use super::wire::{Wire, bind_on};
use limit::Limiter;
use login::Login;
use naming::Named;
use permissions::Permissions;
use signing::Signer;
use state::{Shared, State, lock};

pub use annotations::{Annotation, Mark};
pub use answer::failure;
pub use batch::InBatch;
pub use conversation::Conversation;
pub use events::{Topic, event};
pub use format::Format;
pub use interaction::{Interaction, Retention, Status};
pub use media::{Delivery, Etag, Length, Media, Mishap, Redirect};
pub use model::{FileState, Kind, TranscodingBody};
pub use naming::Thing;
pub use orphan::Orphan;
pub use recording::Recording;

/// A running Genesys Cloud; clones are handles to the same one, and it stops with the last of them.
#[derive(Debug, Clone)]
pub struct Genesys {
    state: Shared,
    running: Arc<Running>,
}

#[derive(Debug)]
struct Running {
    api_url: String,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Running {
    fn stop(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Genesys {
    /// Starts API and login on one port, the media host on another (0: any free one).
    pub async fn start(wire: &Wire, api_port: u16, media_port: u16) -> std::io::Result<Self> {
        let ports = Ports {
            genesys: api_port,
            media: media_port,
            ..Ports::default()
        };
        Self::start_at(wire, &Site::loopback(ports)).await
    }

    /// Starts API and login on one port of the site, the media host on another.
    pub async fn start_at(wire: &Wire, site: &Site) -> std::io::Result<Self> {
        let (api_listener, api) = bind_on(site.bind, site.ports.genesys).await?;
        let (media_listener, media) = bind_on(site.bind, site.ports.media).await?;
        let state = Arc::new(Mutex::new(State {
            ahead: Duration::ZERO,
            login: Login {
                client_id: "c11e0000-0000-4000-8000-000000000001".to_owned(),
                secret: "simulated-client-secret".to_owned(),
                lifetime: Duration::from_secs(86_400),
                issued: 0,
                tokens: BTreeMap::new(),
                others: BTreeMap::new(),
            },
            limiter: Limiter {
                allowed: 300,
                retry_after: true,
                told: true,
                windows: BTreeMap::new(),
            },
            signer: Signer {
                lifetime: Duration::from_secs(3600),
                generation: 0,
            },
            media_url: site.url(media.port()),
            conversations: BTreeMap::new(),
            analytics: analytics::Analytics::default(),
            batches: batch::Batches::default(),
            interactions: BTreeMap::new(),
            transcoding: 1,
            orphans: BTreeMap::new(),
            uploads: state::Uploads::default(),
            least_retention: 0,
            permissions: Permissions::default(),
            names: Named::usual(),
            topics: events::default_topics(),
        }));
        let tasks = [
            wire.serve(api_listener, api::router(state.clone()), api::classify),
            wire.serve(
                media_listener,
                api::media_router(state.clone()),
                api::classify_media,
            ),
        ];
        Ok(Self {
            state,
            running: Arc::new(Running {
                api_url: site.url(api.port()),
                tasks,
            }),
        })
    }

    /// Returns the base URL of API and login.
    pub fn base_url(&self) -> String {
        self.running.api_url.clone()
    }

    /// Returns the base URL of the media host.
    pub fn media_base_url(&self) -> String {
        lock(&self.state).media_url.clone()
    }

    /// Hands out media URLs below another base from now on, such as that of a proxy.
    pub fn set_media_base_url(&self, url: String) {
        lock(&self.state).media_url = url;
    }

    /// Stops serving, even if others hold a handle.
    pub fn shutdown(&self) {
        self.running.stop();
    }

    /// Lets time pass for tokens, signed URLs and the rate limit.
    pub fn advance(&self, time: Duration) {
        lock(&self.state).ahead += time;
    }

    /// Adds a conversation, in the place of one with the same id.
    pub fn add(&self, conversation: Conversation) {
        let mut state = lock(&self.state);
        state.analytics.changed();
        state.conversations.insert(conversation.id.clone(), conversation);
    }

    /// Changes a conversation; `None` if there is none of this id.
    pub fn conversation<T>(&self, id: &str, change: impl FnOnce(&mut Conversation) -> T) -> Option<T> {
        let mut state = lock(&self.state);
        state.analytics.changed();
        state.conversations.get_mut(id).map(change)
    }

    /// Ends the data of analytics' jobs there.
    pub fn set_data_availability(&self, until: Timestamp) {
        lock(&self.state).analytics.available = Some(until);
    }

    /// Sets how many looks at an analytics job find it unfinished.
    pub fn set_job_looks(&self, looks: usize) {
        lock(&self.state).analytics.looks = looks;
    }

    /// Lets the next `jobs` jobs of analytics fail.
    pub fn fail_jobs(&self, jobs: usize) {
        lock(&self.state).analytics.failing = jobs;
    }

    /// Sets how many conversations at the end of each page of an analytics query stand at the start of the next one,
    /// too.
    pub fn set_page_overlap(&self, conversations: usize) {
        lock(&self.state).analytics.overlap = conversations;
    }

    /// Takes the permission for analytics away, or gives it back.
    pub fn deny_analytics(&self, denied: bool) {
        self.deny(permissions::DETAILS[0], denied);
    }

    /// Takes a permission such as `recording:orphan:view` away, or gives it back.
    pub fn deny(&self, permission: &str, denied: bool) {
        lock(&self.state).permissions.set(permission, denied);
    }

    /// Gives a user, queue, wrap-up code or division this name, and users this state: `active`, `inactive` or
    /// `deleted`.
    pub fn name(&self, thing: Thing, id: &str, name: &str, state: &'static str) {
        let names = &mut lock(&self.state).names;
        names.retain(|named| (named.thing, named.id.as_str()) != (thing, id));
        names.push(Named {
            thing,
            id: id.to_owned(),
            name: name.to_owned(),
            state,
        });
    }

    /// Returns how many requests for the media of each recording, in each format anew, are answered 202.
    pub fn transcoding(&self) -> usize {
        lock(&self.state).transcoding
    }

    /// Sets how many requests for the media of each recording, in each format anew, are answered 202. Until then it is
    /// the first one.
    pub fn set_transcoding(&self, answers: usize) {
        lock(&self.state).transcoding = answers;
    }

    /// Sets the most ids that one request for details may name.
    pub fn set_most_detail_ids(&self, most: usize) {
        lock(&self.state).analytics.most_ids = most;
    }

    /// Sets how many polls find a batch download in progress.
    pub fn set_batch_polls(&self, polls: usize) {
        lock(&self.state).batches.polls = polls;
    }

    /// Lets the next `jobs` batch downloads never complete: their last result never comes.
    pub fn stick_batches(&self, jobs: usize) {
        lock(&self.state).batches.stuck = jobs;
    }

    /// Sets how the batch downloads submitted from now on treat a recording.
    pub fn treat_in_batches(&self, recording: impl Into<String>, treatment: InBatch) {
        let mut state = lock(&self.state);
        state.batches.treated.insert(recording.into(), treatment);
    }

    /// Has the upload of a conversation's recordings fail, as reports say from now on.
    pub fn fail_upload(&self, conversation: impl Into<String>) {
        lock(&self.state).uploads.failed.push(conversation.into());
    }

    /// Sets the number of looks that find a report about uploads unfinished.
    pub fn set_upload_report_looks(&self, looks: usize) {
        lock(&self.state).uploads.looks = looks;
    }

    /// Sets the smallest threshold that the retention query takes. That it takes 0 is not verified.
    pub fn set_least_retention(&self, days: u32) {
        lock(&self.state).least_retention = days;
    }

    /// Adds an orphan recording, in the place of one with the same id.
    pub fn add_orphan(&self, orphan: Orphan) {
        lock(&self.state).orphans.insert(orphan.id.clone(), orphan);
    }

    /// Sets the topics of events, and the ways on which each is delivered.
    pub fn set_topics<'a>(&self, topics: impl IntoIterator<Item = (&'a str, Vec<&'a str>)>) {
        let owned = |(id, transports): (&str, Vec<&str>)| {
            let transports = transports.into_iter().map(ToOwned::to_owned);
            (id.to_owned(), transports.collect())
        };
        lock(&self.state).topics = topics.into_iter().map(owned).collect();
    }

    /// Changes a recording, wherever it is; `None` if there is none of this id.
    pub fn recording<T>(&self, id: &str, change: impl FnOnce(&mut Recording) -> T) -> Option<T> {
        let mut state = lock(&self.state);
        let mut recordings = state
            .conversations
            .values_mut()
            .flat_map(|c| c.recordings.iter_mut());
        recordings.find(|recording| recording.id == id).map(change)
    }

    /// Adds an interaction, in the place of one with the same id.
    pub fn add_interaction(&self, interaction: Interaction) {
        lock(&self.state)
            .interactions
            .insert(interaction.id.clone(), interaction);
    }

    /// Changes an interaction; `None` if there is none of this id.
    pub fn interaction<T>(&self, id: &str, change: impl FnOnce(&mut Interaction) -> T) -> Option<T> {
        lock(&self.state).interactions.get_mut(id).map(change)
    }

    /// Returns id and secret that the login accepts now.
    pub fn credentials(&self) -> (String, String) {
        let state = lock(&self.state);
        (state.login.client_id.clone(), state.login.secret.clone())
    }

    /// Adds another OAuth client, or gives it another secret.
    pub fn add_client(&self, id: &str, secret: &str) {
        let mut state = lock(&self.state);
        state.login.others.insert(id.to_owned(), secret.to_owned());
    }

    /// Changes the only secret of the archiver's client that is accepted; tokens issued before stay valid.
    pub fn rotate_secret(&self, secret: &str) {
        lock(&self.state).login.secret = secret.to_owned();
    }

    /// Revokes all tokens issued so far.
    pub fn revoke_tokens(&self) {
        lock(&self.state).login.tokens.clear();
    }

    /// Sets how long new tokens are valid.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        lock(&self.state).login.lifetime = lifetime;
    }

    /// Returns how many tokens have been issued.
    pub fn tokens_issued(&self) -> usize {
        lock(&self.state).login.issued
    }

    /// Sets the number of requests per token and minute.
    pub fn set_rate_limit(&self, allowed: u32) {
        lock(&self.state).limiter.allowed = allowed;
    }

    /// Sets whether a 429 has a `Retry-After`.
    pub fn send_retry_after(&self, send: bool) {
        lock(&self.state).limiter.retry_after = send;
    }

    /// Sets whether answers tell how many requests of the token were counted.
    pub fn tell_rate_limit(&self, told: bool) {
        lock(&self.state).limiter.told = told;
    }

    /// Sets how long new signed URLs are valid; zero: never.
    pub fn set_url_lifetime(&self, lifetime: Duration) {
        lock(&self.state).signer.lifetime = lifetime;
    }

    /// Expires all signed URLs issued so far.
    pub fn expire_urls(&self) {
        lock(&self.state).signer.generation += 1;
    }
}

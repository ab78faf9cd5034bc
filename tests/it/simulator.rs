//! The simulators do what the documents say: who tests against them has to be able to trust them.

mod analytics;
mod api;
mod batch;
mod events;
mod interactions;
mod login;
mod media;
mod organisation;
mod webhook;

use recording_archiver::sim::genesys::{Conversation, Genesys, Media, Recording};
use recording_archiver::sim::wire::Wire;
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::Value;

const CONVERSATION: &str = "c0000000-0000-4000-8000-000000000001";
const RECORDING: &str = "e0000000-0000-4000-8000-000000000001";

/// A simulated Genesys Cloud and a client that is logged in.
struct Cloud {
    wire: Wire,
    genesys: Genesys,
    http: reqwest::Client,
    token: String,
}

/// An answer, read to its end.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Cloud {
    async fn start() -> Self {
        let wire = Wire::default();
        let genesys = Genesys::start(&wire, 0, 0).await.unwrap();
        genesys.set_transcoding(0);
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let mut cloud = Self {
            wire,
            genesys,
            http,
            token: String::new(),
        };
        cloud.token = cloud.log_in().await;
        cloud
    }

    /// Starts with one conversation of one recording.
    async fn with(recording: Recording) -> Self {
        let cloud = Self::start().await;
        cloud
            .genesys
            .add(Conversation::new(CONVERSATION).recording(recording));
        cloud
    }

    async fn log_in(&self) -> String {
        let (id, secret) = self.genesys.credentials();
        let answer = self.ask_for_token(&id, &secret).await;
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    async fn ask_for_token(&self, id: &str, secret: &str) -> Answer {
        let url = format!("{}/oauth/token", self.genesys.base_url());
        let form = [("grant_type", "client_credentials")];
        Answer::of(self.http.post(url).basic_auth(id, Some(secret)).form(&form)).await
    }

    fn request(&self, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.genesys.base_url());
        self.http.get(url).bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(path)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let url = format!("{}{path}", self.genesys.base_url());
        Answer::of(self.http.post(url).bearer_auth(&self.token).json(body)).await
    }

    async fn metadata(&self) -> Answer {
        self.get(&format!("/api/v2/conversations/{CONVERSATION}/recordingmetadata"))
            .await
    }

    async fn recording(&self, query: &str) -> Answer {
        let path = format!("/api/v2/conversations/{CONVERSATION}/recordings/{RECORDING}{query}");
        self.get(&path).await
    }

    async fn recordings(&self) -> Answer {
        let path = format!("/api/v2/conversations/{CONVERSATION}/recordings?maxWaitMs=5000&formatId=WAV");
        self.get(&path).await
    }

    /// Returns a fresh signed URL for the merged file.
    async fn media_url(&self) -> String {
        let answer = self.recording("?formatId=WAV&download=true").await;
        uri(&answer.json(), "S").to_owned()
    }
}

fn uri<'a>(recording: &'a Value, key: &str) -> &'a str {
    recording["mediaUris"][key]["mediaUri"].as_str().unwrap()
}

/// Returns a recording with this one file.
fn call(media: &Media) -> Recording {
    Recording::audio(RECORDING, [media.clone()])
}

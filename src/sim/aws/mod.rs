//! One loopback endpoint that is S3, DynamoDB with its streams, SQS, KMS and Secrets Manager together.
//!
//! `AWS_ENDPOINT_URL=http://127.0.0.1:PORT` with the credentials below is all an AWS SDK or the `aws`
//! command line needs. Every request passes the [`Wire`], so tests can count and disturb it.

mod dynamodb;
mod front;
mod functions;
mod kept;
mod kms;
mod queues;
mod s3;
mod stream;
mod topics;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType,
};
use aws_sdk_kms::types::{KeySpec, KeyUsageType};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use uuid::Uuid;
use winterbaume_secretsmanager::SecretsManagerService;

pub use super::names::{ACCESS_KEY_ID, ACCOUNT_ID, REGION, SECRET_ACCESS_KEY};
use super::site::{Ports, Site};
use super::wire::{Wire, bind_on};
pub use functions::Invoked;
pub use queues::SentMessage;
pub use stream::{Stream, StreamError};

/// Where DynamoDB keeps its tables, SQS its messages and KMS its keys. Objects are always files, secrets never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// Gone with the simulator.
    Memory,
    /// `dynamodb.sqlite`, `queues.jsonl` and `kms.json` in the simulator's folder.
    Folder,
}

/// Returns the index of the audit table by days.
fn by_day() -> Result<GlobalSecondaryIndex, aws_sdk_dynamodb::error::BuildError> {
    let key = |name, kind| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()
    };
    let all = Projection::builder().projection_type(ProjectionType::All);
    GlobalSecondaryIndex::builder()
        .index_name("byDay")
        .key_schema(key("day", KeyType::Hash)?)
        .key_schema(key("eventId", KeyType::Range)?)
        .projection(all.build())
        .build()
}

/// Returns a site of AWS alone.
fn aws_on(port: u16) -> Site {
    Site::loopback(Ports {
        aws: port,
        ..Ports::default()
    })
}

/// Returns an address that this process reaches: a listener on all addresses is reached on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let loopback: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    match address.ip().is_unspecified() {
        true => SocketAddr::new(loopback, address.port()),
        false => address,
    }
}

/// A running simulator; cheap to clone, stops with its last clone.
#[derive(Debug, Clone)]
pub struct Aws {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The address for the SDK clients of this process.
    address: SocketAddr,
    /// The URL for everybody else.
    url: String,
    store: s3::Store,
    tables: dynamodb::Tables,
    queues: Arc<queues::Queues>,
    topics: Arc<topics::Topics>,
    functions: Arc<functions::Functions>,
    tasks: [JoinHandle<()>; 2],
    /// Removed at the end.
    temporary_folder: Option<PathBuf>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        if let Some(folder) = &self.temporary_folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

impl Aws {
    /// Serves on the port of AWS at this site and keeps objects and tables below `folder`.
    pub async fn start(wire: &Wire, site: &Site, folder: &Path) -> io::Result<Self> {
        Self::launch(wire, site, folder, Storage::Folder, None).await
    }

    /// Starts like [`start`](Self::start), on `port` of loopback (0: any free one) and with a choice of where the
    /// tables live.
    pub async fn start_with(wire: &Wire, port: u16, folder: &Path, storage: Storage) -> io::Result<Self> {
        Self::launch(wire, &aws_on(port), folder, storage, None).await
    }

    /// Starts on any free port, with tables in memory and objects in a folder that goes away with the simulator.
    pub async fn temporary(wire: &Wire) -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("recording-archiver-{}", Uuid::new_v4()));
        Self::launch(wire, &aws_on(0), &folder, Storage::Memory, Some(folder.clone())).await
    }

    async fn launch(
        wire: &Wire,
        site: &Site,
        folder: &Path,
        storage: Storage,
        temporary_folder: Option<PathBuf>,
    ) -> io::Result<Self> {
        let store = s3::Store::open(folder)?;
        let (listener, address) = bind_on(site.bind, site.ports.aws).await?;
        let url = site.url(address.port());
        let (dynamodb, tables, serving) = match storage {
            Storage::Memory => dynamodb::start(None).await?,
            Storage::Folder => dynamodb::start(Some(&folder.join("dynamodb.sqlite"))).await?,
        };
        let kept = (storage == Storage::Folder).then(|| folder.join("queues.jsonl"));
        let kept_keys = (storage == Storage::Folder).then(|| folder.join("kms.json"));
        let queues = Arc::new(queues::Queues::open(url.clone(), kept.as_deref())?);
        let topics = Arc::<topics::Topics>::default();
        let functions = Arc::<functions::Functions>::default();
        let router = front::router(front::Services {
            s3: store.service(ACCESS_KEY_ID, SECRET_ACCESS_KEY),
            dynamodb,
            queues: queues.clone(),
            topics: topics.clone(),
            functions: functions.clone(),
            keys: Arc::new(kms::Keys::open(kept_keys.as_deref())?),
            secrets: Arc::new(SecretsManagerService::new()),
        });
        let front = wire.serve(listener, router, front::classify);
        Ok(Self {
            inner: Arc::new(Inner {
                address: reachable(address),
                url,
                store,
                tables,
                queues,
                topics,
                functions,
                tasks: [front, serving],
                temporary_folder,
            }),
        })
    }

    /// Returns the value for `AWS_ENDPOINT_URL`.
    pub fn endpoint_url(&self) -> String {
        self.inner.url.clone()
    }

    /// Returns a configuration for any SDK client of this process; it reads nothing from the environment.
    pub fn sdk_config(&self) -> SdkConfig {
        let credentials = Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "simulator");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(REGION))
            .endpoint_url(format!("http://{}", self.inner.address))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build()
    }

    /// Returns a client of the simulated S3.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.sdk_config());
        aws_sdk_s3::Client::from_conf(config.force_path_style(true).build())
    }

    /// Returns a client of the simulated DynamoDB.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.sdk_config())
    }

    /// Returns a client of the simulated SQS.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.sdk_config())
    }

    /// Returns a client of the simulated Secrets Manager.
    pub fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.sdk_config())
    }

    /// Returns a client of the simulated KMS.
    pub fn kms(&self) -> aws_sdk_kms::Client {
        aws_sdk_kms::Client::new(&self.sdk_config())
    }

    /// Creates an Ed25519 key under this alias, unless an earlier run left it in the folder.
    pub async fn create_signing_key(&self, alias: &str) -> Result<(), aws_sdk_kms::Error> {
        let client = self.kms();
        if client.describe_key().key_id(alias).send().await.is_ok() {
            return Ok(());
        }
        let key = client
            .create_key()
            .key_spec(KeySpec::EccNistEdwards25519)
            .key_usage(KeyUsageType::SignVerify)
            .send()
            .await?;
        let id = key.key_metadata.map(|key| key.key_id).unwrap_or_default();
        client
            .create_alias()
            .alias_name(alias)
            .target_key_id(id)
            .send()
            .await?;
        Ok(())
    }

    /// Ends the stream of `table`, where nobody reads it: each write takes longer, the more there were before.
    pub async fn end_stream(&self, table: &str) -> Result<(), StreamError> {
        let off = StreamSpecification::builder().stream_enabled(false).build()?;
        let update = self.dynamodb().update_table().table_name(table);
        update.stream_specification(off).send().await?;
        Ok(())
    }

    /// Returns a reader of the stream of `table`.
    pub async fn stream(&self, table: &str) -> Result<Stream, StreamError> {
        let described = self.dynamodb().describe_table().table_name(table).send().await?;
        let arn = described.table.and_then(|table| table.latest_stream_arn);
        let arn = arn.ok_or_else(|| format!("the table {table} has no stream"))?;
        let client = aws_sdk_dynamodbstreams::Client::new(&self.sdk_config());
        Ok(Stream::new(client, arn))
    }

    /// Lets this closure answer each `Invoke` of the function `name`.
    pub fn serve_function<F>(&self, name: &str, code: impl Fn(Value) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Invoked> + Send + 'static,
    {
        let code =
            move |payload| -> Pin<Box<dyn Future<Output = Invoked> + Send>> { Box::pin(code(payload)) };
        self.inner.functions.serve(name, Arc::new(code));
    }

    /// Creates an SNS topic and returns its ARN.
    pub async fn create_topic(&self, name: &str) -> Result<String, aws_sdk_sns::Error> {
        let client = aws_sdk_sns::Client::new(&self.sdk_config());
        let created = client.create_topic().name(name).send().await?;
        Ok(created.topic_arn.unwrap_or_default())
    }

    /// Returns the messages that were published to a topic, in order.
    pub fn published(&self, topic_arn: &str) -> Vec<String> {
        self.inner.topics.published(topic_arn)
    }

    /// Creates a bucket, unless an earlier run left it in the folder.
    pub async fn create_bucket(&self, name: &str) -> Result<(), aws_sdk_s3::Error> {
        match self.s3().create_bucket().bucket(name).send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.into() {
                aws_sdk_s3::Error::BucketAlreadyOwnedByYou(_) => Ok(()),
                error => Err(error),
            },
        }
    }

    /// Creates the audit table with its stream and the ledger table, unless an earlier run left them in the folder.
    pub async fn create_tables(&self, audit: &str, ledger: &str) -> Result<(), aws_sdk_dynamodb::Error> {
        let stream = StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(StreamViewType::NewAndOldImages)
            .build()?;
        for (table, sort_key, stream) in [(audit, "eventId", Some(stream)), (ledger, "recordingId", None)] {
            self.create_table(table, ["interactionId", sort_key], stream)
                .await?;
        }
        Ok(())
    }

    /// Creates the table of the catalog of calls, unless an earlier run left it in the folder.
    pub async fn create_catalog(&self, table: &str) -> Result<(), aws_sdk_dynamodb::Error> {
        self.create_table(table, ["facet", "at"], None).await
    }

    /// Puts items into a table, many at a time: not as requests, of which millions would take hours.
    pub fn load(&self, table: &str, items: Vec<Value>) -> io::Result<()> {
        self.inner.tables.load(table, items)
    }

    async fn create_table(
        &self,
        table: &str,
        keys: [&str; 2],
        stream: Option<StreamSpecification>,
    ) -> Result<(), aws_sdk_dynamodb::Error> {
        let mut request = self.dynamodb().create_table().table_name(table);
        for (name, kind) in keys.into_iter().zip([KeyType::Hash, KeyType::Range]) {
            let key = KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(kind)
                .build()?;
            let attribute = AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S);
            request = request.key_schema(key).attribute_definitions(attribute.build()?);
        }
        if stream.is_some() {
            let day = AttributeDefinition::builder()
                .attribute_name("day")
                .attribute_type(ScalarAttributeType::S);
            request = request
                .attribute_definitions(day.build()?)
                .global_secondary_indexes(by_day()?);
        }
        match request
            .billing_mode(BillingMode::PayPerRequest)
            .set_stream_specification(stream)
            .send()
            .await
            .map_err(Into::into)
        {
            Ok(_) | Err(aws_sdk_dynamodb::Error::ResourceInUseException(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Creates a queue and returns its URL, which is on this endpoint.
    pub async fn create_queue(&self, name: &str) -> Result<String, aws_sdk_sqs::Error> {
        let created = self.sqs().create_queue().queue_name(name).send().await?;
        Ok(created.queue_url.unwrap_or_default())
    }

    /// Creates a queue whose messages go to the dead-letter queue `letters` (its name) after so many receptions.
    pub async fn create_queue_with_dead_letters(
        &self,
        name: &str,
        letters: &str,
        receptions: u32,
    ) -> Result<String, aws_sdk_sqs::Error> {
        let policy = json!({
            "deadLetterTargetArn": format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{letters}"),
            "maxReceiveCount": receptions,
        });
        let request = self.sqs().create_queue().queue_name(name);
        let request = request.attributes(QueueAttributeName::RedrivePolicy, policy.to_string());
        Ok(request.send().await?.queue_url.unwrap_or_default())
    }

    /// Creates a secret or gives it a new value.
    pub async fn put_secret(&self, name: &str, value: &str) -> Result<(), aws_sdk_secretsmanager::Error> {
        let client = self.secrets();
        match client
            .create_secret()
            .name(name)
            .secret_string(value)
            .send()
            .await
            .map_err(Into::into)
        {
            Ok(_) => Ok(()),
            Err(aws_sdk_secretsmanager::Error::ResourceExistsException(_)) => {
                client
                    .put_secret_value()
                    .secret_id(name)
                    .secret_string(value)
                    .send()
                    .await?;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the file that is, or would be, this object.
    pub fn object_path(&self, bucket: &str, key: &str) -> PathBuf {
        self.inner.store.object_path(bucket, key)
    }

    /// Gives an object another storage class in place, as a lifecycle rule does. Returns whether there is one.
    pub fn transition(&self, bucket: &str, key: &str, class: &str) -> bool {
        self.inner.store.transition(bucket, key, class)
    }

    /// Moves an object of the class `INTELLIGENT_TIERING` into its tier `ARCHIVE_ACCESS` or `DEEP_ARCHIVE_ACCESS`.
    /// Returns whether there is one.
    pub fn archive(&self, bucket: &str, key: &str, tier: &str) -> bool {
        self.inner.store.archive(bucket, key, tier)
    }

    /// Ends the restore of an object that is under way. Returns whether there is such an object.
    pub fn finish_restore(&self, bucket: &str, key: &str) -> bool {
        self.inner.store.finish_restore(bucket, key)
    }

    /// Returns the keys of all multipart uploads neither completed nor aborted.
    pub async fn uploads_in_progress(&self, bucket: &str) -> Vec<String> {
        self.inner.store.uploads_in_progress(bucket).await
    }

    /// Returns how many messages are in a queue, the delayed and the hidden among them. Known where they are kept in a
    /// folder; 0 elsewhere.
    pub fn depth(&self, queue_url: &str) -> usize {
        self.inner.queues.depth(queue_url).unwrap_or_default()
    }

    /// Returns all messages that this simulator was ever sent for a queue, in order: delayed, received and deleted
    /// ones, too.
    pub fn messages(&self, queue_url: &str) -> Vec<SentMessage> {
        self.messages_after(0, queue_url)
    }

    /// Returns the same without the first `known` of them.
    pub fn messages_after(&self, known: usize, queue_url: &str) -> Vec<SentMessage> {
        self.inner.queues.sent(known, queue_url)
    }
}

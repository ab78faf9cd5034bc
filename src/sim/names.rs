//! The names of everything in the simulated world.

/// The only access key the simulated S3 knows.
pub const ACCESS_KEY_ID: &str = "test";
/// The secret of [`ACCESS_KEY_ID`]; S3 verifies signatures with it.
pub const SECRET_ACCESS_KEY: &str = "test";
/// The account of everything.
pub const ACCOUNT_ID: &str = "123456789012";
/// The region of everything.
pub const REGION: &str = "us-east-1";

/// The id of the simulated function's role.
pub const ROLE_ID: &str = "AROASIMULATEDARCHIVER";
/// Name of the simulated bucket.
pub const BUCKET: &str = "calls";
/// Name of the simulated bucket of the transparency log.
pub const SEAL_BUCKET: &str = "recording-seal";
/// Alias of the simulated key of the transparency log.
pub const SEAL_KEY: &str = "alias/recording-seal";
/// Name of the simulated transparency log.
pub const SEAL_ORIGIN: &str = "recording-archiver/local";
/// Name of the simulated sealer.
pub const SEALER: &str = "recording-sealer";
/// Name of the simulated audit table.
pub const AUDIT_TABLE: &str = "recording-audit";
/// Name of the simulated ledger table.
pub const LEDGER_TABLE: &str = "recording-ledger";
/// Name of the simulated catalog's table.
pub const CATALOG_TABLE: &str = "recording-catalog";
/// Name of the secret with the catalog's key.
pub const CATALOG_SECRET: &str = "catalog/key";
/// The catalog's key.
pub const CATALOG_KEY: &str = "simulated-catalog-key-of-64-letters-0123456789-0123456789-012345";
/// Name of the simulated secret.
pub const SECRET: &str = "genesys/archiver";
/// Name of the work queue.
pub const WORK_QUEUE: &str = "recording-work";
/// Name of the queue for what needs a person.
pub const EXCEPTION_QUEUE: &str = "recording-exceptions";
/// Name of the queue of the completeness statement.
pub const STATEMENT_QUEUE: &str = "recording-statement";
/// Name of the queue for what was received too often.
pub const DEAD_LETTER_QUEUE: &str = "recording-dead-letters";
/// Key of the webhook's signature.
pub const WEBHOOK_SECRET: &str = "whsec_c2ltdWxhdGVkLXdlYmhvb2stc2VjcmV0LTAwMDE=";

//! Archives Genesys Cloud recordings into S3.
#[cfg(feature = "sim")]
pub mod sim;

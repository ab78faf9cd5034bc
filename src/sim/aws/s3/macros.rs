//! The S3 types have one field per checksum algorithm; here they become a map and back.

/// The checksum fields of an S3 type, as [`Checksums`](super::checksum::Checksums).
macro_rules! given_checksums {
    ($from:expr) => {{
        use $crate::sim::aws::s3::checksum::Algorithm;
        let from = &$from;
        [
            (Algorithm::Crc32, &from.checksum_crc32),
            (Algorithm::Crc32c, &from.checksum_crc32c),
            (Algorithm::Crc64Nvme, &from.checksum_crc64nvme),
            (Algorithm::Sha1, &from.checksum_sha1),
            (Algorithm::Sha256, &from.checksum_sha256),
        ]
        .into_iter()
        .filter_map(|(algorithm, value)| Some((algorithm, value.clone()?)))
        .collect::<$crate::sim::aws::s3::checksum::Checksums>()
    }};
}

/// Writes [`Checksums`](super::checksum::Checksums) into the fields of an S3 type.
macro_rules! fill_checksums {
    ($output:expr, $checksums:expr) => {{
        use $crate::sim::aws::s3::checksum::Algorithm;
        let checksums: &$crate::sim::aws::s3::checksum::Checksums = $checksums;
        $output.checksum_crc32 = checksums.get(&Algorithm::Crc32).cloned();
        $output.checksum_crc32c = checksums.get(&Algorithm::Crc32c).cloned();
        $output.checksum_crc64nvme = checksums.get(&Algorithm::Crc64Nvme).cloned();
        $output.checksum_sha1 = checksums.get(&Algorithm::Sha1).cloned();
        $output.checksum_sha256 = checksums.get(&Algorithm::Sha256).cloned();
    }};
}

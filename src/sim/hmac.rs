//! HMAC-SHA-256 (RFC 2104), written out so that signatures are checked by other code than made them.

use sha2::{Digest as _, Sha256};

const BLOCK: usize = 64;

/// Returns the authentication code of `message` under `key`.
pub(super) fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let keyed = |pad: u8, message: &[u8]| -> [u8; 32] {
        Sha256::new()
            .chain_update(block.map(|byte| byte ^ pad))
            .chain_update(message)
            .finalize()
            .into()
    };
    keyed(0x5c, &keyed(0x36, message))
}

#[cfg(test)]
mod tests {
    use super::hmac_sha256;

    /// Test cases 2 and 6 of RFC 4231: a short key, and one longer than a block.
    #[test]
    fn it_agrees_with_rfc_4231() {
        assert_eq!(
            hex::encode(hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex::encode(hmac_sha256(
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            )),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}

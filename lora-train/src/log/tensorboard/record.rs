use super::crc32c::masked;

/// A record of TensorFlow's files: length, checksum of the length, data, checksum of the data, all little-endian.
pub(super) fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(masked(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked(data).to_le_bytes());
    record
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The data of all records, checked.
    pub(in super::super) fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_at(8);
            let (sum, rest) = rest.split_at(4);
            assert_eq!(sum, masked(length).to_le_bytes(), "the length's checksum");
            let length = u64::from_le_bytes(length.try_into().expect("8 bytes"));
            let (data, rest) = rest.split_at(usize::try_from(length).expect("a length"));
            let (sum, rest) = rest.split_at(4);
            assert_eq!(sum, masked(data).to_le_bytes(), "the data's checksum");
            records.push(data.to_vec());
            bytes = rest;
        }
        records
    }

    #[test]
    fn a_record_is_framed() {
        let bytes = [framed(b"123456789"), framed(b"")].concat();
        assert_eq!(bytes.len(), 16 + 9 + 16);
        assert_eq!(records(&bytes), [&b"123456789"[..], b""]);
        // 0xE3069283 turned by 15 bits, plus 0xA282EAD8.
        assert_eq!(bytes[21..25], 0xC78A_B0E5_u32.to_le_bytes());
    }
}

/// A message of protocol buffers, built field by field (protobuf.dev, "Encoding").
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

/// How a field's value is laid out.
#[derive(Clone, Copy)]
enum Wire {
    Number = 0,
    EightBytes = 1,
    Bytes = 2,
    FourBytes = 5,
}

impl Message {
    /// A whole number, as `int32`, `int64` or an enumeration.
    pub(super) fn number(&mut self, field: u64, value: u64) -> &mut Self {
        self.key(field, Wire::Number).varint(value)
    }

    /// A `double`.
    pub(super) fn double(&mut self, field: u64, value: f64) -> &mut Self {
        self.key(field, Wire::EightBytes).raw(&value.to_le_bytes())
    }

    /// A `float`.
    pub(super) fn float(&mut self, field: u64, value: f32) -> &mut Self {
        self.key(field, Wire::FourBytes).raw(&value.to_le_bytes())
    }

    /// A `string`.
    pub(super) fn text(&mut self, field: u64, value: &str) -> &mut Self {
        self.bytes(field, value.as_bytes())
    }

    /// `bytes`.
    pub(super) fn bytes(&mut self, field: u64, value: &[u8]) -> &mut Self {
        let key = self.key(field, Wire::Bytes);
        key.varint(value.len() as u64).raw(value)
    }

    /// A message in this one.
    pub(super) fn message(&mut self, field: u64, value: Self) -> &mut Self {
        self.bytes(field, &value.0)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn key(&mut self, field: u64, wire: Wire) -> &mut Self {
        self.varint(field << 3 | wire as u64)
    }

    /// Seven bits a byte, the lowest first; the eighth says that more follow.
    fn varint(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.raw(&[value as u8])
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A value as it was read back.
    #[derive(Clone, Debug, PartialEq)]
    pub(in super::super) enum Field {
        Number(u64),
        Double(f64),
        Float(f32),
        Bytes(Vec<u8>),
    }

    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let (first, rest) = bytes.split_first().expect("a byte");
            *bytes = rest;
            value |= u64::from(first & 0x7F) << shift;
            shift += 7;
            if first & 0x80 == 0 {
                return value;
            }
        }
    }

    /// The values of each field.
    pub(in super::super) fn fields(mut bytes: &[u8]) -> BTreeMap<u64, Vec<Field>> {
        let mut fields: BTreeMap<u64, Vec<Field>> = BTreeMap::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let mut take = |length: usize| {
                let (part, rest) = bytes.split_at(length);
                bytes = rest;
                part
            };
            let value = match key & 7 {
                1 => Field::Double(f64::from_le_bytes(take(8).try_into().expect("8 bytes"))),
                5 => Field::Float(f32::from_le_bytes(take(4).try_into().expect("4 bytes"))),
                0 => Field::Number(varint(&mut bytes)),
                2 => {
                    let length = usize::try_from(varint(&mut bytes)).expect("a length");
                    let (part, rest) = bytes.split_at(length);
                    bytes = rest;
                    Field::Bytes(part.to_vec())
                }
                wire => panic!("wire type {wire}"),
            };
            fields.entry(key >> 3).or_default().push(value);
        }
        fields
    }

    #[test]
    fn bytes_are_those_of_the_specification() {
        // The examples of protobuf.dev: 150 in field 1, and "testing" in field 2.
        let mut message = Message::default();
        message.number(1, 150).text(2, "testing");
        assert_eq!(message.into_bytes(), b"\x08\x96\x01\x12\x07testing");
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut inner = Message::default();
        inner.number(1, u64::MAX).float(2, -0.5);
        let mut message = Message::default();
        message
            .double(20, 1e300)
            .message(3, inner)
            .bytes(3, &[0; 200]);
        let read = fields(&message.into_bytes());
        assert_eq!(read[&20], [Field::Double(1e300)]);
        let [Field::Bytes(inner), Field::Bytes(zeros)] = &read[&3][..] else {
            panic!("{read:?}");
        };
        let inner = fields(inner);
        assert_eq!(inner[&1], [Field::Number(u64::MAX)]);
        assert_eq!(inner[&2], [Field::Float(-0.5)]);
        assert_eq!(*zeros, [0; 200]);
    }
}

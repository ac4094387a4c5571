//! A reference on the wire: the object's name, and who keeps the object if its maker does not, or not alone.
//!
//! The name alone leads to the maker. But the maker may be dead, and the object with its backup, or with whom it was
//! handed to; whoever hears the name for the first time then cannot know. So who sends a reference adds what it knows.
//!
//! Written as numbers, the name's three last, so that whatever looks for the name alone finds it at the end.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeTuple as _};

use crate::object_id::{Incarnation, NodeId, ObjectId, StoreId};

/// Who counts an object's needs, and who would take over.
pub(crate) type Keepers = (StoreId, Option<StoreId>);

/// Where a reference leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) object: ObjectId,
    /// `None` if nothing is known but the name.
    pub(crate) keepers: Option<Keepers>,
}

impl Address {
    pub(crate) fn new(object: ObjectId, keepers: Option<Keepers>) -> Self {
        let says_more = |(keeper, backup): &Keepers| *keeper != object.owner() || backup.is_some();
        Self { object, keepers: keepers.filter(says_more) }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some((keeper, backup)) = self.keepers.filter(|_| !serializer.is_human_readable())
        else {
            return self.object.serialize(serializer);
        };
        let owner = self.object.owner();
        let stores = [Some(keeper), backup, Some(owner)];
        let mut tuple = serializer.serialize_tuple(2 * stores.iter().flatten().count() + 1)?;
        for store in stores.into_iter().flatten() {
            tuple.serialize_element(&store.node.0)?;
            tuple.serialize_element(&store.incarnation.0)?;
        }
        tuple.serialize_element(&self.object.number())?;
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return ObjectId::deserialize(deserializer).map(|object| Self::new(object, None));
        }
        deserializer.deserialize_seq(Numbers)
    }
}

pub(crate) struct Numbers;

impl<'de> de::Visitor<'de> for Numbers {
    type Value = Address;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the name of an object: that of its store and its number, after those who keep it",
        )
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Address, A::Error> {
        let mut numbers: Vec<u64> = Vec::with_capacity(3);
        while numbers.len() < 7
            && let Some(number) = seq.next_element()?
        {
            numbers.push(number);
        }
        let store = |at: usize| StoreId::new(NodeId(numbers[at]), Incarnation(numbers[at + 1]));
        let (owner, keepers) = match numbers.len() {
            3 => (store(0), None),
            5 => (store(2), Some((store(0), None))),
            7 => (store(4), Some((store(0), Some(store(2))))),
            other => return Err(de::Error::invalid_length(other, &self)),
        };
        let number = numbers[numbers.len() - 1];
        let object = ObjectId::new(owner, number);
        let object = object.ok_or_else(|| de::Error::custom("objects are counted from 1"))?;
        Ok(Address::new(object, keepers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(node: u64) -> StoreId {
        StoreId::new(NodeId(node), Incarnation(node + 7))
    }

    #[test]
    fn an_address_reads_back_and_is_the_plain_name_where_that_says_all() {
        let object = ObjectId::new(store(1), 9).unwrap();
        for keepers in [
            None,
            Some((store(1), None)),
            Some((store(1), Some(store(2)))),
            Some((store(3), None)),
            Some((store(3), Some(store(u64::MAX - 9)))),
        ] {
            let address = Address::new(object, keepers);
            let bytes = rmp_serde::to_vec_named(&address).unwrap();
            assert_eq!(rmp_serde::from_slice::<Address>(&bytes).unwrap(), address);
            if address.keepers.is_none() {
                assert_eq!(bytes, rmp_serde::to_vec_named(&object).unwrap());
            }
        }
        let wrong = rmp_serde::to_vec(&[1_u64, 2, 3, 4]).unwrap();
        assert!(rmp_serde::from_slice::<Address>(&wrong).is_err());
    }
}

//! The serializer that only adds up.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt;

use serde::{Serialize, ser};

use super::{DEPTH_MAX, EXACT_LEAVES, HANDLE_BYTES, REFERENCE_NAME, SAMPLE};
use crate::object_id::{Incarnation, NodeId, ObjectId, StoreId};

#[derive(Default)]
pub(super) struct Walk {
    pub(super) bytes: u64,
    leaves: u32,
    depth: u32,
    pub(super) contained: Vec<ObjectId>,
    pub(super) is_reference: Option<ObjectId>,
    /// Inside a reference: the last three numbers met, which name the object.
    reference: Option<[u64; 3]>,
}

/// Why a walk ended early. Carries nothing: every level above goes on with what was counted.
#[derive(Debug)]
pub(super) struct Enough;

impl fmt::Display for Enough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seen enough of the value")
    }
}

impl std::error::Error for Enough {}

impl ser::Error for Enough {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl Walk {
    fn leaf(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.leaves = self.leaves.saturating_add(1);
    }

    fn handle(&mut self) {
        if self.depth > 0 {
            self.bytes = self.bytes.saturating_add(HANDLE_BYTES);
        }
    }

    /// Walks a part; whatever ended it, the whole goes on.
    fn part<T: Serialize + ?Sized>(&mut self, part: &T) {
        if self.depth < DEPTH_MAX {
            self.depth += 1;
            let _seen_enough = part.serialize(&mut *self);
            self.depth -= 1;
        }
    }

    fn parts(&mut self, len: Option<usize>) -> Parts<'_> {
        let bytes_before = self.bytes;
        let references_before = self.contained.len();
        Parts {
            len: len.map(|len| len as u64),
            seen: 0,
            bytes_before,
            references_before,
            walk: self,
        }
    }

    fn reference<T: Serialize + ?Sized>(&mut self, value: &T) {
        let outermost = self.depth == 0;
        self.reference = Some([0; 3]);
        self.part(value);
        let named = self.reference.take().and_then(|[node, incarnation, number]| {
            ObjectId::new(StoreId::new(NodeId(node), Incarnation(incarnation)), number)
        });
        if let Some(id) = named {
            self.contained.push(id);
            if outermost {
                self.is_reference = Some(id);
            }
        }
    }
}

/// The elements of one sequence or map, or the fields of one struct.
pub(super) struct Parts<'a> {
    walk: &'a mut Walk,
    len: Option<u64>,
    seen: u64,
    bytes_before: u64,
    references_before: usize,
}

impl Parts<'_> {
    /// One element is done: go on, or extrapolate from those seen and end the sequence.
    fn element_done(&mut self) -> Result<(), Enough> {
        self.seen += 1;
        let Some(len) = self.len else { return Ok(()) };
        let in_full = self.walk.leaves < EXACT_LEAVES
            || self.seen < SAMPLE
            || self.seen >= len
            || self.walk.contained.len() > self.references_before;
        if in_full {
            return Ok(());
        }
        let seen_bytes = u128::from(self.walk.bytes.saturating_sub(self.bytes_before));
        let all_bytes = seen_bytes * u128::from(len) / u128::from(self.seen);
        let all_bytes = u64::try_from(all_bytes).unwrap_or(u64::MAX);
        self.walk.bytes = self.bytes_before.saturating_add(all_bytes);
        Err(Enough)
    }
}

macro_rules! leaves {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(fn $method(self, _: $type) -> Result<(), Enough> {
            self.leaf(size_of::<$type>() as u64);
            Ok(())
        })*
    };
}

impl<'a> ser::Serializer for &'a mut Walk {
    type Ok = ();
    type Error = Enough;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    leaves! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u128: u128,
        serialize_f32: f32,
        serialize_f64: f64,
        serialize_char: char,
    }

    fn serialize_u64(self, number: u64) -> Result<(), Enough> {
        if let Some(reference) = &mut self.reference {
            *reference = [reference[1], reference[2], number];
        }
        self.leaf(8);
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<(), Enough> {
        self.handle();
        self.leaf(text.len() as u64);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Enough> {
        self.handle();
        self.leaf(bytes.len() as u64);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Enough> {
        self.leaf(1);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Enough> {
        self.bytes = self.bytes.saturating_add(1);
        self.part(value);
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), Enough> {
        self.leaf(0);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Enough> {
        self.leaf(0);
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
    ) -> Result<(), Enough> {
        self.leaf(1);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Enough> {
        if name == REFERENCE_NAME {
            self.reference(value);
        } else {
            self.part(value);
        }
        Ok(())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Enough> {
        self.leaf(1);
        self.part(value);
        Ok(())
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Parts<'a>, Enough> {
        self.handle();
        Ok(self.parts(len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Parts<'a>, Enough> {
        // Short ones may be of mixed types, and long ones can only be arrays.
        Ok(self.parts((len > 32).then_some(len)))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Enough> {
        Ok(self.parts(None))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Enough> {
        self.leaf(1);
        Ok(self.parts(None))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Parts<'a>, Enough> {
        self.handle();
        Ok(self.parts(len))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Enough> {
        Ok(self.parts(None))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Enough> {
        self.leaf(1);
        Ok(self.parts(None))
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), Enough> {
        struct Length(u64);
        impl fmt::Write for Length {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0 += text.len() as u64;
                Ok(())
            }
        }
        let mut length = Length(0);
        let _counted = fmt::Write::write_fmt(&mut length, format_args!("{value}"));
        self.handle();
        self.leaf(length.0);
        Ok(())
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! elements {
    ($($port:ident::$method:ident),* $(,)?) => {
        $(impl ser::$port for Parts<'_> {
            type Ok = ();
            type Error = Enough;

            fn $method<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), Enough> {
                self.walk.part(element);
                self.element_done()
            }

            fn end(self) -> Result<(), Enough> {
                Ok(())
            }
        })*
    };
}

elements! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

macro_rules! fields {
    ($($port:ident),* $(,)?) => {
        $(impl ser::$port for Parts<'_> {
            type Ok = ();
            type Error = Enough;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _: &'static str,
                field: &T,
            ) -> Result<(), Enough> {
                self.walk.part(field);
                Ok(())
            }

            fn end(self) -> Result<(), Enough> {
                Ok(())
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Enough;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Enough> {
        self.walk.part(key);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Enough> {
        self.walk.part(value);
        self.element_done()
    }

    fn end(self) -> Result<(), Enough> {
        Ok(())
    }
}

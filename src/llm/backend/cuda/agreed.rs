//! What the host's code and the kernels must agree about: constants, and the layout of the structs that pass between them.
//!
//! The host's side is the one that is written down. The compiler of the kernels gets it as `-D` options: constants by their name,
//! and of each struct `S` the macros `S_BYTES` and `S_FIELDS`, which `AGREED(S)` in the `.cu` file turns into static assertions.
//! Kernels of which any differs do not compile.

use crate::llm::gguf::TensorType;

/// A struct of numbers that a kernel takes as its one parameter.
///
/// # Safety
/// The implementor is `repr(C)`, holds plain numbers only, and has the fields of the struct [`Layout::name`] of the kernels that
/// it is launched with: the same names, sizes and offsets, and kinds that mean the same bits. [`arguments!`] sees to all but the
/// last.
pub(super) unsafe trait Arguments: Copy {
    const LAYOUT: Layout;
}

/// A struct as the host lays it out.
pub(super) struct Layout {
    /// Its name in the `.cu` file.
    pub(super) name: &'static str,
    pub(super) bytes: usize,
    pub(super) fields: &'static [Field],
}

pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) offset: usize,
    pub(super) bytes: usize,
}

/// Declares a struct that kernels know under the name that follows `as`, and its [`Arguments`].
macro_rules! arguments {
    ($(#[$attribute:meta])* $name:ident as $theirs:literal { $($(#[$on_field:meta])* $field:ident: $ty:ty),* $(,)? }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy)]
        #[repr(C)]
        struct $name {
            $($(#[$on_field])* $field: $ty,)*
        }

        // SAFETY: the struct is `repr(C)`, and its layout is the one that the kernels are compiled against.
        unsafe impl $crate::llm::backend::cuda::agreed::Arguments for $name {
            const LAYOUT: $crate::llm::backend::cuda::agreed::Layout = $crate::llm::backend::cuda::agreed::Layout {
                name: $theirs,
                bytes: size_of::<$name>(),
                fields: &[$($crate::llm::backend::cuda::agreed::Field {
                    name: stringify!($field),
                    offset: std::mem::offset_of!($name, $field),
                    bytes: size_of::<$ty>(),
                },)*],
            };
        }
    };
}
pub(super) use arguments;

/// A file of kernels and what it is compiled with.
pub(super) struct Source {
    /// `gemv` for `gemv.cu`.
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    pub(super) constants: &'static [(&'static str, usize)],
    pub(super) structs: &'static [Layout],
    /// The oldest architecture that it is compiled for.
    pub(super) arch: u32,
}

impl Layout {
    fn options(&self) -> [String; 2] {
        let name = self.name;
        // NVRTC has no `offsetof`; this is what the front end's own is made of.
        let assertions: String = self
            .fields
            .iter()
            .map(|Field { name: field, offset, bytes }| {
                format!(
                    "static_assert(__INTADDR__(&(({name}*)0)->{field})=={offset}&&sizeof((({name}*)0)->{field})=={bytes},\
                     \"{name}::{field} lies elsewhere in the host's struct\");"
                )
            })
            .collect();
        [format!("-D{name}_BYTES={}", self.bytes), format!("-D{name}_FIELDS={assertions}")]
    }
}

impl Source {
    /// The options that tell the kernels' compiler what the host knows.
    pub(super) fn options(&self) -> Vec<String> {
        let constants = self.constants.iter().map(|(name, value)| format!("-D{name}={value}"));
        constants.chain(self.structs.iter().flat_map(Layout::options)).chain(type_options()).collect()
    }
}

/// The file's types of weights, by the names that kernels give them, with GGUF's numbers (142 for Q2_0 in groups of 128, which
/// shares GGUF's number with the groups of 64).
const TYPES: [(TensorType, &str, i32); 11] = [
    (TensorType::F32, "T_F32", 0),
    (TensorType::F16, "T_F16", 1),
    (TensorType::Q4_0, "T_Q4_0", 2),
    (TensorType::Q8_0, "T_Q8_0", 8),
    (TensorType::Q4K, "T_Q4_K", 12),
    (TensorType::Q6K, "T_Q6_K", 14),
    (TensorType::Bf16, "T_BF16", 30),
    (TensorType::Tq1_0, "T_TQ1_0", 34),
    (TensorType::Tq2_0, "T_TQ2_0", 35),
    (TensorType::Q2_0, "T_Q2_0", 42),
    (TensorType::Q2_0G128, "T_Q2_0_G128", 142),
];

/// The kernels' number of a type; −1 for one that they do not know.
pub(super) fn type_code(ty: TensorType) -> i32 {
    TYPES.iter().find(|t| t.0 == ty).map_or(-1, |t| t.2)
}

/// The numbers, and an assertion of weights and bytes of each type's block.
fn type_options() -> Vec<String> {
    let mut options: Vec<String> = TYPES.iter().map(|(_, name, code)| format!("-D{name}={code}")).collect();
    let assertions: String = TYPES
        .iter()
        .map(|(ty, name, _)| {
            let (cols, bytes) = ty.block();
            format!(
                "static_assert(block_cols({name})=={cols}&&block_bytes({name})=={bytes},\
                 \"a block of {name} is another to the host\");"
            )
        })
        .collect();
    options.push(format!("-DBLOCKS_AGREED={assertions}"));
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    arguments! {
        /// A struct with a hole behind its first field.
        Holed as "Theirs" { a: u8, b: u64, c: [i32; 3] }
    }

    #[test]
    fn a_layout_says_where_each_field_lies() {
        let of = Holed { a: 1, b: 2, c: [3; 3] };
        assert_eq!((of.a, of.b, of.c[2]), (1, 2, 3));
        let fields: Vec<_> = Holed::LAYOUT.fields.iter().map(|f| (f.name, f.offset, f.bytes)).collect();
        assert_eq!(fields, [("a", 0, 1), ("b", 8, 8), ("c", 16, 12)]);
        let [bytes, asserted] = Holed::LAYOUT.options();
        assert_eq!(bytes, "-DTheirs_BYTES=32");
        assert!(asserted.contains("__INTADDR__(&((Theirs*)0)->b)==8&&sizeof(((Theirs*)0)->b)==8"), "{asserted}");
    }

    #[test]
    fn types_have_numbers_of_their_own() {
        let mut codes: Vec<i32> = TYPES.iter().map(|t| type_code(t.0)).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), TYPES.len());
        assert_eq!(type_code(TensorType::Other(99)), -1);
    }
}

//! How a header is written down: each type and number once, from which the Rust item, its `const`
//! assertions and its line in the ABI list all come.

/// The types and numbers of one header of XNU.
///
/// - `header "net/if.h", public;` (or `private`): public ones are in the macOS SDK, and a C
///   compiler compares them; private ones are declared here alone.
/// - `struct NAME: size, align, (repr) { field: type = offset, … }`, `(repr)` being `()` or
///   `(, packed(4))` and the like.
///   Every byte belongs to a field: padding of C's is a field too, under a name ending in `pad0`,
///   `pad1`, …, which no field of C has.
/// - `const NAME: type = value;`: its value is pinned in `pinned.rs`.
/// - `request NAME(argument) on Kind = number, pinned value;`: a [`Request`](crate::Request).
/// - `command NAME(argument) set = number;` (or `get`): a [`DriverCommand`](crate::DriverCommand).
/// - `pointer request …`, `pointer command …`: the same for an argument that holds a pointer which
///   the kernel follows; not public, since safe code could have the kernel write anywhere.
macro_rules! header {
    (
        header $path:literal, $visibility:ident;
        $($items:tt)*
    ) => {
        header!(@items $($items)*);
        header!(@list $path, $visibility, [] [] $($items)*);
    };

    (@items) => {};
    (@items
        $(#[$meta:meta])*
        struct $name:ident: $size:literal, $align:literal, ($($repr:tt)*) {
            $($(#[$field_meta:meta])* $field:ident: $type:ty = $offset:literal,)*
        }
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        #[allow(non_camel_case_types, reason = "named as the C header names it")]
        #[repr(C $($repr)*)]
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                <Self as crate::Plain>::zeroed()
            }
        }

        const _: () = {
            assert!(
                ::std::mem::size_of::<$name>() == $size,
                concat!(stringify!($name), " has another size"),
            );
            assert!(
                ::std::mem::align_of::<$name>() == $align,
                concat!(stringify!($name), " has another alignment"),
            );
            $(assert!(
                ::std::mem::offset_of!($name, $field) == $offset,
                concat!(stringify!($name), ".", stringify!($field), " is at another offset"),
            );)*
            // No byte belongs to no field: nothing that is not initialised goes to the kernel.
            assert!(
                0 $(+ ::std::mem::size_of::<$type>())* == $size,
                concat!("the fields of ", stringify!($name), " leave bytes between them"),
            );
        };

        crate::request::plain!($name { $($type),* });

        header!(@items $($rest)*);
    };
    (@items
        $(#[$meta:meta])*
        const $name:ident: $type:ty = $value:expr;
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        pub const $name: $type = $value;
        header!(@items $($rest)*);
    };
    (@items
        $(#[$meta:meta])*
        request $name:ident($argument:ty) on $kind:ty = $value:expr, $pinned:literal;
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        pub const $name: crate::Request<$argument, $kind> =
            crate::Request::new(stringify!($name), $value);
        const _: () = assert!(
            $name.number() == $pinned,
            concat!(stringify!($name), " has another number"),
        );
        header!(@items $($rest)*);
    };

    (@items
        $(#[$meta:meta])*
        pointer request $name:ident($argument:ty) on $kind:ty = $value:expr, $pinned:literal;
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        pub(crate) const $name: crate::Request<$argument, $kind> =
            crate::Request::new(stringify!($name), $value);
        const _: () = assert!(
            $name.number() == $pinned,
            concat!(stringify!($name), " has another number"),
        );
        header!(@items $($rest)*);
    };

    (@items
        $(#[$meta:meta])*
        command $name:ident($argument:ty) $way:ident = $number:literal;
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        pub const $name: crate::DriverCommand<$argument> =
            crate::DriverCommand::$way(stringify!($name), $number);
        header!(@items $($rest)*);
    };

    (@items
        $(#[$meta:meta])*
        pointer command $name:ident($argument:ty) $way:ident = $number:literal;
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        pub(crate) const $name: crate::DriverCommand<$argument> =
            crate::DriverCommand::$way(stringify!($name), $number);
        header!(@items $($rest)*);
    };

    (@list $path:literal, $visibility:ident, [$($structs:tt)*] [$($consts:tt)*]) => {
        /// What this header contributes to [`crate::abi::headers`].
        pub(crate) const HEADER: crate::abi::Header = crate::abi::Header {
            path: $path,
            is_public: header!(@public $visibility),
            structs: &[$($structs)*],
            constants: &[$($consts)*],
        };
    };
    (@list $path:literal, $visibility:ident, [$($structs:tt)*] [$($consts:tt)*]
        $(#[$meta:meta])*
        struct $name:ident: $size:literal, $align:literal, ($($repr:tt)*) {
            $($(#[$field_meta:meta])* $field:ident: $type:ty = $offset:literal,)*
        }
        $($rest:tt)*
    ) => {
        header!(@list $path, $visibility, [$($structs)* crate::abi::Struct {
            name: stringify!($name),
            size_bytes: ::std::mem::size_of::<$name>(),
            align_bytes: ::std::mem::align_of::<$name>(),
            fields: &[$(crate::abi::Field {
                name: crate::abi::c_name(stringify!($field)),
                offset_bytes: ::std::mem::offset_of!($name, $field),
                size_bytes: ::std::mem::size_of::<$type>(),
            },)*],
        },] [$($consts)*] $($rest)*);
    };
    (@list $path:literal, $visibility:ident, [$($structs:tt)*] [$($consts:tt)*]
        $(#[$meta:meta])*
        const $name:ident: $type:ty = $value:expr;
        $($rest:tt)*
    ) => {
        header!(@list $path, $visibility, [$($structs)*] [$($consts)* crate::abi::Constant {
            name: stringify!($name),
            kind: crate::abi::ConstantKind::Number,
            value: $name as i128,
        },] $($rest)*);
    };
    (@list $path:literal, $visibility:ident, [$($structs:tt)*] [$($consts:tt)*]
        $(#[$meta:meta])*
        request $name:ident($argument:ty) on $kind:ty = $value:expr, $pinned:literal;
        $($rest:tt)*
    ) => {
        header!(@list $path, $visibility, [$($structs)*] [$($consts)* crate::abi::Constant {
            name: stringify!($name),
            kind: crate::abi::ConstantKind::Number,
            value: $name.number() as i128,
        },] $($rest)*);
    };
    (@list $path:literal, $visibility:ident, [$($structs:tt)*] [$($consts:tt)*]
        $(#[$meta:meta])*
        command $name:ident($argument:ty) $way:ident = $number:literal;
        $($rest:tt)*
    ) => {
        header!(@list $path, $visibility, [$($structs)*] [$($consts)* crate::abi::Constant {
            name: stringify!($name),
            kind: crate::abi::ConstantKind::Number,
            value: $name.number() as i128,
        },] $($rest)*);
    };

    (@list $path:literal, $visibility:ident, [$($structs:tt)*] [$($consts:tt)*]
        $(#[$meta:meta])*
        pointer request $name:ident($argument:ty) on $kind:ty = $value:expr, $pinned:literal;
        $($rest:tt)*
    ) => {
        header!(@list $path, $visibility, [$($structs)*] [$($consts)* crate::abi::Constant {
            name: stringify!($name),
            kind: crate::abi::ConstantKind::Number,
            value: $name.number() as i128,
        },] $($rest)*);
    };
    (@list $path:literal, $visibility:ident, [$($structs:tt)*] [$($consts:tt)*]
        $(#[$meta:meta])*
        pointer command $name:ident($argument:ty) $way:ident = $number:literal;
        $($rest:tt)*
    ) => {
        header!(@list $path, $visibility, [$($structs)*] [$($consts)* crate::abi::Constant {
            name: stringify!($name),
            kind: crate::abi::ConstantKind::Number,
            value: $name.number() as i128,
        },] $($rest)*);
    };

    (@public public) => { true };
    (@public private) => { false };
}

//! Types that may and may not cross to another task, and how types are shown as text.

use syn::{Type, parse_quote};

use super::*;

fn refused(ty: &Type) -> bool {
    let mut refusals = Refusals::default();
    check_owned(ty, "an argument", &mut refusals);
    refusals.finish(()).is_err()
}

#[test]
fn arguments_own_what_they_carry() {
    for borrowed in ["&str", "Vec<&str>", "Cow<'_, str>", "&'static mut u8", "impl Clone", "&'a u8"]
    {
        assert!(refused(&syn::parse_str(borrowed).unwrap()), "{borrowed}");
    }
    for owned in ["u64", "&'static str", "Arc<str>", "fn(&str) -> u8", "Box<dyn Fn(&str) + Send>"] {
        assert!(!refused(&syn::parse_str(owned).unwrap()), "{owned}");
    }
}

#[test]
fn self_is_written_out() {
    let path: Path = parse_quote!(shop::Cart);
    let ty = without_self(&parse_quote!(Option<ActorRef<Self>>), Some(&path));
    assert_eq!(text(ty), "Option<ActorRef<shop::Cart>>");
}

#[test]
fn text_is_spaced_as_people_write() {
    let ty: Type = parse_quote!(Result<HashMap<String, [u8; 4]>, Box<dyn Error + Send>>);
    assert_eq!(text(ty), "Result<HashMap<String, [u8; 4]>, Box<dyn Error + Send>>");
    let ty: Type = parse_quote!(fn(&'static str, (u8, u16)) -> std::io::Result<()>);
    assert_eq!(text(ty), "fn(&'static str, (u8, u16)) -> std::io::Result<()>");
}

//! What is kept exactly and what is refused.

use super::*;

fn quantity(amount: f64) -> Quantity {
    Quantity::try_new(amount).unwrap()
}

#[test]
fn quantities_are_exact_to_four_digits_and_refuse_a_fifth() {
    assert_eq!(quantity(0.1 + 0.2), quantity(0.3));
    assert_eq!(quantity(0.0001).to_string(), "0.0001");
    assert_eq!(quantity(2.5).to_string(), "2.5");
    assert!(matches!(Quantity::try_new(0.00001), Err(QuantityError::TooFine { .. })));
    for amount in [-1.0, f64::NAN, f64::INFINITY, 1e16] {
        assert!(matches!(Quantity::try_new(amount), Err(QuantityError::OutOfRange { .. })));
    }
}

#[test]
fn more_than_one_device_must_be_whole() {
    let demand = Demand::default();
    assert!(demand.clone().with("gpu", quantity(0.5)).is_ok());
    assert!(demand.clone().with("GPU", quantity(2.0)).is_ok());
    let refused = demand.clone().with("gpu", quantity(1.5)).unwrap_err();
    assert_eq!(refused.to_string(), "more than one gpu must be a whole number, not 1.5");
    assert!(demand.with("licence", quantity(1.5)).is_ok());
}

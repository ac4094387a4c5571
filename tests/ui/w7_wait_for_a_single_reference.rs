//! Waiting takes a list of references: not a single one, and not values.

async fn wait_for_one(object: mobula::ObjectRef<u64>) {
    let _single = mobula::wait(object).await;
    let _values = mobula::wait(vec![1_u64, 2]).await;
}

fn main() {}

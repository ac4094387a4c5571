//! Only references have values to get.

async fn get_values() {
    let _list = mobula::get(&[1, 2, 3]).await;
    let number = 5_u64;
    let _one = number.get().await;
}

fn main() {}

//! Where this node is reached may change while it runs: the members are told.

use mobula_proto::member::ADDRESSES_MAX;
use mobula_proto::membership::Input;

use super::Driver;

impl Driver {
    pub(super) fn moved(&mut self) {
        let own = self.core.view().get(self.transport.node());
        let Some(mut details) = own.map(|record| (*record.details).clone()) else { return };
        let mut addresses = self.transport.addresses();
        addresses.truncate(ADDRESSES_MAX);
        if details.addresses != addresses {
            details.addresses = addresses;
            self.tell(Input::Describe(details));
            // What we say of ourselves is no event here, so nothing else shows it.
            self.publish_view();
        }
    }
}

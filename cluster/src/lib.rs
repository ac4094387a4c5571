//! Many nodes, no head: how members find, trust and reach each other.

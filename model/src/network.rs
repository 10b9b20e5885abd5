//! A network of addresses, as a file names it: `10.0.0.0/8`, `2001:db8::/32`, or one address.

use std::{fmt, net::IpAddr, str::FromStr};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// Without a bit behind the prefix.
    address: IpAddr,
    prefix: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("a network is written as 10.0.0.0/8, 2001:db8::/32 or one address")]
    Form,
    #[error("the address has bits behind its prefix: {0} is the network")]
    Bits(Network),
}

impl Network {
    /// IPv4 addresses inside IPv6 ones (`::ffff:10.0.0.1`) count as what they are.
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address.to_canonical(), self.prefix) == Some(self.address)
    }

    /// Whether every address of a family is in it.
    pub const fn is_everything(&self) -> bool {
        self.prefix == 0
    }
}

/// The address without what is behind the prefix; none for a prefix that is longer than the address.
fn masked(address: IpAddr, prefix: u32) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => {
            let behind = u32::BITS.checked_sub(prefix)?;
            let mask = u32::MAX.checked_shl(behind).unwrap_or_default();
            Some(IpAddr::V4((v4.to_bits() & mask).into()))
        }
        IpAddr::V6(v6) => {
            let behind = u128::BITS.checked_sub(prefix)?;
            let mask = u128::MAX.checked_shl(behind).unwrap_or_default();
            Some(IpAddr::V6((v6.to_bits() & mask).into()))
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Form)?;
        let prefix = match prefix {
            Some(prefix) if prefix.bytes().all(|b| b.is_ascii_digit()) => {
                prefix.parse().map_err(|_| NetworkError::Form)?
            }
            Some(_) => return Err(NetworkError::Form),
            None if address.is_ipv4() => u32::BITS,
            None => u128::BITS,
        };
        let network = masked(address, prefix).ok_or(NetworkError::Form)?;
        let read = Self {
            address: network,
            prefix,
        };
        if network == address {
            Ok(read)
        } else {
            Err(NetworkError::Bits(read))
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_its_addresses_and_no_others() {
        let inside = |text: &str, address: &str| network(text).contains(address.parse().unwrap());
        assert!(inside("10.0.0.0/8", "10.255.0.1") && !inside("10.0.0.0/8", "11.0.0.1"));
        assert!(inside("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(inside("192.0.2.7", "192.0.2.7") && !inside("192.0.2.7", "192.0.2.6"));
        assert!(inside("2001:db8::/33", "2001:db8:7fff::1"));
        assert!(!inside("2001:db8::/33", "2001:db8:8000::1"));
        assert!(inside("0.0.0.0/0", "203.0.113.1") && !inside("0.0.0.0/0", "2001:db8::1"));
        assert!(!inside("::/0", "203.0.113.1"), "of its own family");
        assert!(network("::/0").is_everything() && !network("::1").is_everything());
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "10/8",
            "10.0.0.0/+8",
            "a/8",
            "1.2.3.4/8/8",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError::Form), "{text:?}");
        }
        let error = "10.0.0.1/8".parse::<Network>().unwrap_err();
        assert_eq!(error, NetworkError::Bits(network("10.0.0.0/8")));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(address: IpAddr, prefix in 0..=128_u32) {
            if let Some(masked) = masked(address, prefix) {
                let text = format!("{masked}/{prefix}");
                let read = network(&text);
                prop_assert_eq!(read.to_string(), text);
                prop_assert!(masked.to_canonical() != masked || read.contains(masked));
            }
        }

        #[test]
        fn no_text_panics(text in "[0-9a-f:./+ ]{0,24}") {
            let _ = text.parse::<Network>();
        }
    }
}

//! The crate as its users see it: folders on disk in, pictures, captions, plans and complaints out.

#[cfg(test)]
mod captions;
#[cfg(test)]
mod colours;
#[cfg(test)]
mod complaints;
#[cfg(test)]
mod config_text;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod damaged;
#[cfg(test)]
mod folder;
#[cfg(test)]
mod layouts;
#[cfg(test)]
mod pictures;
#[cfg(test)]
mod plan;

//! The crate as its users see it: folders on disk in, pictures, captions, plans and complaints out.

#[cfg(test)]
mod buckets;
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
mod face_finding;
#[cfg(test)]
mod face_pictures;
#[cfg(test)]
mod face_set;
#[cfg(test)]
mod folder;
#[cfg(test)]
mod kohya_captions;
#[cfg(test)]
mod kohya_config;
#[cfg(test)]
mod layouts;
#[cfg(test)]
mod masks;
#[cfg(test)]
mod onnx;
#[cfg(test)]
mod onnx_model_builder;
#[cfg(test)]
mod picture_embedder;
#[cfg(test)]
mod pictures;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod prepare;
#[cfg(test)]
mod prepare_findings;
#[cfg(test)]
mod prepare_folder;
#[cfg(test)]
mod prepare_runs;
#[cfg(test)]
mod semantics;
#[cfg(test)]
mod tagger_parity;
#[cfg(test)]
mod tagger_runs;
#[cfg(test)]
mod tags_editing;
#[cfg(test)]
mod tags_filter;
#[cfg(test)]
mod tags_folder;
#[cfg(test)]
mod tags_journal;
#[cfg(test)]
mod tags_properties;

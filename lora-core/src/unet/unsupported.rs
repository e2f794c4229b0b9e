//! What a UNet's config may ask for.

use super::{OneOrEach, UNetConfig};
use crate::size_limits::{
    LAYERS_PER_BLOCK, Refused, TRANSFORMER_LAYERS, WIDTH, outside, undivided, unfit_levels,
};

const DOWN_BLOCKS: [&str; 2] = ["CrossAttnDownBlock2D", "DownBlock2D"];
const UP_BLOCKS: [&str; 2] = ["CrossAttnUpBlock2D", "UpBlock2D"];
const MID_BLOCK: &str = "UNetMidBlock2DCrossAttn";

impl UNetConfig {
    /// The first field whose value asks for something that [`super::UNet`] cannot do, with that value.
    pub fn unsupported(&self) -> Option<(&'static str, String)> {
        self.unfit_size()
            .or_else(|| self.unknown_block())
            .or_else(|| self.unknown_conditioning())
            .or_else(|| self.unfit_attention())
    }

    fn unfit_size(&self) -> Option<Refused> {
        let first = self.block_out_channels.first().copied();
        unfit_levels(&self.block_out_channels, self.norm_num_groups)
            .or_else(|| {
                outside([
                    ("layers_per_block", self.layers_per_block, LAYERS_PER_BLOCK),
                    ("in_channels", self.in_channels, WIDTH),
                    ("cross_attention_dim", self.cross_attention_dim, WIDTH),
                    ("sample_size", self.sample_size, 1..=1 << 14),
                ])
            })
            // Half of the timestep's embedding are sines and half cosines.
            .or_else(|| undivided("block_out_channels", 2, first?))
    }

    fn unknown_block(&self) -> Option<Refused> {
        let levels = self.block_out_channels.len();
        let odd = |types: &[String], known: [&str; 2]| {
            types.len() != levels || types.iter().any(|name| !known.contains(&name.as_str()))
        };
        if odd(&self.down_block_types, DOWN_BLOCKS) {
            return Some(("down_block_types", format!("{:?}", self.down_block_types)));
        }
        if odd(&self.up_block_types, UP_BLOCKS) {
            return Some(("up_block_types", format!("{:?}", self.up_block_types)));
        }
        (self.mid_block_type != MID_BLOCK).then(|| ("mid_block_type", self.mid_block_type.clone()))
    }

    fn unknown_conditioning(&self) -> Option<Refused> {
        if let Some(kind) = &self.addition_embed_type {
            if kind != "text_time" {
                return Some(("addition_embed_type", kind.clone()));
            }
            let embed = self.addition_time_embed_dim.unwrap_or(0);
            let inputs = self.projection_class_embeddings_input_dim.unwrap_or(0);
            let unfit = outside([
                ("addition_time_embed_dim", embed, WIDTH),
                ("projection_class_embeddings_input_dim", inputs, 1..=1 << 20),
            ]);
            if let Some(refused) = unfit {
                return Some(refused);
            }
            if !embed.is_multiple_of(2) {
                return Some(("addition_time_embed_dim", embed.to_string()));
            }
        }
        if self.in_channels != self.out_channels {
            return Some(("in_channels", self.in_channels.to_string()));
        }
        if let Some(kind) = &self.class_embed_type {
            return Some(("class_embed_type", kind.clone()));
        }
        if self.only_cross_attention {
            return Some(("only_cross_attention", "true".to_owned()));
        }
        let shift = &self.resnet_time_scale_shift;
        (shift != "default").then(|| ("resnet_time_scale_shift", shift.clone()))
    }

    /// Of the levels that attend: what is written for others has no effect.
    fn unfit_attention(&self) -> Option<Refused> {
        let levels = self.block_out_channels.len();
        let unfit = |field, values: &OneOrEach| match values {
            OneOrEach::Each(each) if each.len() != levels => Some((field, values.to_string())),
            _ => None,
        };
        let layers = &self.transformer_layers_per_block;
        unfit(self.heads_field(), self.heads())
            .or_else(|| unfit("transformer_layers_per_block", layers))
            .or_else(|| {
                let mut attending = (0..levels).filter(|&level| self.attends(level));
                attending.find_map(|level| {
                    let (heads, width) = (self.heads().at(level), self.block_out_channels[level]);
                    let depth = layers.at(level);
                    undivided(self.heads_field(), heads, width).or_else(|| {
                        outside([("transformer_layers_per_block", depth, TRANSFORMER_LAYERS)])
                    })
                })
            })
    }

    /// Whether any block of `level` attends; the coarsest is the middle's too. The lists of blocks have been checked.
    fn attends(&self, level: usize) -> bool {
        let coarsest = self.block_out_channels.len() - 1;
        level == coarsest
            || self.down_block_types[level] == DOWN_BLOCKS[0]
            || self.up_block_types[coarsest - level] == UP_BLOCKS[0]
    }
}

use image::{Rgb, RgbImage};
use lora_core::diffusion::SamplerKind;
use lora_train::{
    DrawSettings, Flow, Prompt,
    config::PreviewConfig,
    grid::{
        Axis, CellFolder, DrawError, Drawer, Fingerprints, GridFiles, GridPlan, GridRequest,
        LoraUse, cells_of,
    },
};

use crate::HEAP;

const SIDE: u32 = 64;

/// Paints noise, which no encoder makes small.
struct Noise;

impl Drawer for Noise {
    fn draw(
        &mut self,
        _: &[LoraUse],
        prompts: &[Prompt],
        _: DrawSettings,
    ) -> Result<Vec<RgbImage>, DrawError> {
        let paint = |prompt: &Prompt| {
            let mut state = prompt.seed * 1000 + prompt.guidance as u64 + 1;
            let mut byte = move || {
                // Xorshift, as Marsaglia (2003) gives it.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            };
            RgbImage::from_fn(SIDE, SIDE, |_, _| Rgb([byte(), byte(), byte()]))
        };
        Ok(prompts.iter().map(paint).collect())
    }
}

fn plan() -> GridPlan {
    let request = GridRequest {
        x: "seed=1-60".parse().unwrap(),
        y: "cfg=1-40".parse().unwrap(),
        z: Axis::Nothing,
        files: Vec::new(),
        strengths: vec![1.0],
        prompts: vec![Prompt::parse("noise", &PreviewConfig::default()).unwrap()],
    };
    let settings = DrawSettings {
        sampler: SamplerKind::Ddim,
        clip_skip: 1,
        size: [SIDE; 2],
    };
    request
        .cells()
        .unwrap()
        .plan(&Fingerprints::default(), settings, |_| [SIDE; 2])
}

pub fn two_thousand_cells_need_the_memory_of_a_few() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("grid");
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let plan = plan();
    let cells = CellFolder::create(cells_of(&out)).unwrap();
    cells.write_plan(&plan, &Fingerprints::default()).unwrap();
    let progress = plan
        .draw(&cells, &mut Noise, |_| Flow::Continue(()))
        .unwrap();
    assert_eq!(progress.drawn, 2400);
    let files = GridFiles::write(&plan.grids(&cells), &out).unwrap();
    let peak = HEAP.peak_usage() - before;

    let (path, facts) = &files.sheets[0];
    let sheet = u64::from(facts.width) * u64::from(facts.height) * 3;
    let page = std::fs::metadata(&files.page).unwrap().len();
    // The plan's texts, and one row of cells twice over while it is written.
    assert!(
        peak < 10 << 20,
        "a sheet of {sheet} bytes and a page of {page} take {peak}"
    );
    assert!(sheet > 100 << 20 && page > 30 << 20, "they would not fit");
    assert_eq!(
        image::image_dimensions(path).unwrap(),
        (facts.width, facts.height)
    );
}

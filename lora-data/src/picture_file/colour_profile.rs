use image::{DynamicImage, RgbImage, RgbaImage};
use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};

/// Brightness steps of the colours that tell whether a profile is sRGB.
const PROBE_STEP: usize = 17;

/// Turns the colours of a picture from an ICC profile into sRGB, 8 bits per channel, with the perceptual intent that
/// Pillow's `ImageCms.profileToProfile` takes too. What is sRGB but for rounding stays bit for bit.
///
/// # Errors
/// With the reason why the profile cannot be used; the picture is unchanged then.
pub(super) fn to_srgb(picture: &mut DynamicImage, profile: &[u8]) -> Result<(), String> {
    let profile = ColorProfile::new_from_slice(profile).map_err(|error| error.to_string())?;
    let (from, to) = layouts(picture, profile.color_space)?;
    let transform = profile
        .create_transform_8bit(
            from,
            &ColorProfile::new_srgb(),
            to,
            TransformOptions::default(),
        )
        .map_err(|error| error.to_string())?;
    if changes_nothing(&*transform, from, to)? {
        return Ok(());
    }
    let stored = match from {
        Layout::Rgb => picture.to_rgb8().into_raw(),
        Layout::Rgba => picture.to_rgba8().into_raw(),
        Layout::Gray => picture.to_luma8().into_raw(),
        _ => picture.to_luma_alpha8().into_raw(),
    };
    let turned = transformed(&*transform, &stored, from, to)?;
    let (width, height) = (picture.width(), picture.height());
    let turned = match to {
        Layout::Rgb => RgbImage::from_raw(width, height, turned).map(DynamicImage::from),
        _ => RgbaImage::from_raw(width, height, turned).map(DynamicImage::from),
    };
    *picture = turned.ok_or("the colours do not fill the picture")?;
    Ok(())
}

/// How pixels go in and come out; a profile for other colours than the picture's is not used.
fn layouts(picture: &DynamicImage, space: DataColorSpace) -> Result<(Layout, Layout), String> {
    let colour = picture.color();
    match (space, colour.has_color(), colour.has_alpha()) {
        (DataColorSpace::Rgb, _, false) => Ok((Layout::Rgb, Layout::Rgb)),
        (DataColorSpace::Rgb, _, true) => Ok((Layout::Rgba, Layout::Rgba)),
        (DataColorSpace::Gray, false, false) => Ok((Layout::Gray, Layout::Rgb)),
        (DataColorSpace::Gray, false, true) => Ok((Layout::GrayAlpha, Layout::Rgba)),
        (space, ..) => Err(format!(
            "it is for {space:?} and not for the picture's colours"
        )),
    }
}

fn transformed(
    transform: &Transform8BitExecutor,
    stored: &[u8],
    from: Layout,
    to: Layout,
) -> Result<Vec<u8>, String> {
    let mut turned = vec![0; stored.len() / from.channels() * to.channels()];
    transform
        .transform(stored, &mut turned)
        .map_err(|error| error.to_string())?;
    Ok(turned)
}

/// Whether no colour of a grid changes by more than rounding.
fn changes_nothing(
    transform: &Transform8BitExecutor,
    from: Layout,
    to: Layout,
) -> Result<bool, String> {
    let steps = || (0..=255_u8).step_by(PROBE_STEP);
    let grid: Vec<[u8; 3]> = if matches!(from, Layout::Rgb | Layout::Rgba) {
        steps()
            .flat_map(|red| {
                steps().flat_map(move |green| steps().map(move |blue| [red, green, blue]))
            })
            .collect()
    } else {
        steps().map(|grey| [grey; 3]).collect()
    };
    let stored: Vec<u8> = grid
        .iter()
        .flat_map(|colour| pixel(*colour, from))
        .collect();
    let turned = transformed(transform, &stored, from, to)?;
    Ok(grid
        .iter()
        .zip(turned.chunks_exact(to.channels()))
        .all(|(colour, turned)| {
            colour
                .iter()
                .zip(turned)
                .all(|(before, after)| before.abs_diff(*after) <= 1)
        }))
}

/// An opaque pixel of a colour.
fn pixel([red, green, blue]: [u8; 3], layout: Layout) -> Vec<u8> {
    match layout {
        Layout::Rgb => vec![red, green, blue],
        Layout::Rgba => vec![red, green, blue, 255],
        Layout::Gray => vec![red],
        _ => vec![red, 255],
    }
}

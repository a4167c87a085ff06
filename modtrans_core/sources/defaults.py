"""The encoder of each modality where none is named."""

from modtrans_core.encoders import IMAGE_ENCODER, TEXT_ENCODER

ENCODERS = {
    "image": IMAGE_ENCODER,
    "text": TEXT_ENCODER,
    "audio": "transformers:clap/laion/clap-htsat-unfused",
    "location": "geoclip:location/geoclip",
}

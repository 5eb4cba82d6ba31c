"""Settings: a YAML file becomes one frozen, validated model; load_config("demo") -> Config.

The other names are what a config holds. Their code is hashed nowhere: their values are, where they are used."""

from cgdseg.config.base import RGB, Part, Settings, Size, SystemSettings
from cgdseg.config.datasets import Dataset, StandIn
from cgdseg.config.reading import config_path, load_config
from cgdseg.config.schema import Config, Precision, Run, Splits, Training
from cgdseg.config.systems import SYSTEMS, Backbone, CGDSeg, Pretraining, SegFormer, SegNet, System, TextEncoder, UNet

"""Checkpoints are complete, written whole, and bad files are refused with a reason."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from safetensors.torch import save_file

from hrda_core.architecture import Architecture
from hrda_core.checkpoints import CheckpointError, load_model, read_state_dict, save_model
from hrda_core.classes import ClassSet
from hrda_core.encoder_weights import load_encoder_weights
from hrda_core.encoders import Encoder
from hrda_core.hrda import HRDA
from hrda_core.published import import_published

CLASSES = ClassSet('pair', ('a', 'b'), ((1, 1, 1), (2, 2, 2)), ((0,), (1,)), ('b',))
TINY = Architecture(
    'mit_b0',
    8,
    8,
    8,
    context_size=128,
    detail_size=64,
    mean=(1.0, 2.0, 3.0),
    std=(4.0, 5.0, 6.0),
    image_scale=0.5,
)


@pytest.fixture(scope='module')
def model() -> HRDA:
    torch.manual_seed(0)
    return HRDA(TINY, CLASSES)


@pytest.fixture
def saved(model, tmp_path):
    path = tmp_path / 'model.safetensors'
    save_model(path, model, step=7, extra={'licence': 'mine'})
    return path


def test_a_checkpoint_needs_nothing_else(saved, model):
    loaded = load_model(saved)
    assert (loaded.architecture, loaded.classes, loaded.step) == (TINY, CLASSES, 7)
    assert loaded.metadata['licence'] == 'mine' and not loaded.training
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=0, atol=0)


def test_nothing_is_left_beside_the_file(saved):
    assert [path.name for path in saved.parent.iterdir()] == ['model.safetensors']


def test_reserved_metadata_is_refused(model, tmp_path):
    with pytest.raises(ValueError, match='step'):
        save_model(tmp_path / 'x.safetensors', model, step=0, extra={'step': '9'})


def test_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match=r'gone\.safetensors: no such file'):
        load_model(tmp_path / 'gone.safetensors')


@pytest.mark.parametrize('keep', [0, 5, 500, -100])
def test_truncated_file(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r'model\.safetensors: truncated'):
        load_model(saved)


def test_foreign_safetensors(tmp_path):
    path = tmp_path / 'other.safetensors'
    save_file({'x': torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r'other\.safetensors.*not a model of hrda_ros'):
        load_model(path)


def test_weights_of_another_architecture(model, tmp_path):
    path = tmp_path / 'mismatch.safetensors'
    model.architecture, before = dataclasses.replace(TINY, head_channels=16), model.architecture
    try:
        save_model(path, model, step=0)
    finally:
        model.architecture = before
    with pytest.raises(CheckpointError, match=r'mismatch\.safetensors.*do not fit'):
        load_model(path)


def test_unknown_metadata_field(tmp_path):
    path = tmp_path / 'newer.safetensors'
    metadata = {'format': 'hrda_ros model 1', 'architecture': '{"depth": 3}'}
    save_file({'x': torch.zeros(1)}, path, metadata=metadata)
    with pytest.raises(CheckpointError, match=r"newer\.safetensors.*\['depth'\]"):
        load_model(path)


class Harmful:
    def __reduce__(self):
        return print, ('executed',)


def test_pickled_code_is_refused_and_not_run(tmp_path, capsys):
    path = tmp_path / 'harmful.pth'
    torch.save({'state_dict': {'a': Harmful()}}, path)
    with pytest.raises(CheckpointError, match=r'harmful\.pth: refused.*run code'):
        import_published(path, tmp_path / 'out.safetensors')
    assert 'executed' not in capsys.readouterr().out
    assert not (tmp_path / 'out.safetensors').exists()


def test_truncated_pickle(tmp_path):
    path = tmp_path / 'cut.pth'
    torch.save({'state_dict': {'a': torch.zeros(1000)}}, path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(CheckpointError, match=r'cut\.pth'):
        read_state_dict(path)


@pytest.mark.parametrize(
    'content', [b'hello\n', b'key: value\n', bytes(range(256))], ids=['text', 'yaml', 'bytes']
)
def test_garbage_is_not_called_dangerous(tmp_path, content):
    path = tmp_path / 'garbage.pth'
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r'garbage\.pth: truncated, or not a torch'):
        read_state_dict(path)


def test_a_published_file_given_as_a_model_names_the_import(published_file):
    with pytest.raises(CheckpointError, match='hrda import'):
        load_model(published_file)


@pytest.mark.parametrize('content', [[1, 2], {}, {'state_dict': {}}])
def test_a_pickle_without_tensors(tmp_path, content):
    path = tmp_path / 'empty.pth'
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r'empty\.pth: holds no state dict'):
        read_state_dict(path)


def test_import_reports_every_name_and_the_licence(published_file, tmp_path):
    report = import_published(published_file, tmp_path / 'x.safetensors')
    assert (len(report.matched), report.missing, report.unexpected) == (250, (), ())
    assert 'research only' in str(report)
    assert 'research only' in load_model(tmp_path / 'x.safetensors').metadata['licence']


def edited(published_file, tmp_path, edit):
    content = torch.load(published_file, weights_only=True)['state_dict']
    tensors = {name: t for name, t in content.items() if name.startswith('model.')}
    edit(tensors)
    path = tmp_path / 'edited.pth'
    torch.save({'state_dict': tensors}, path)
    return path


def test_import_is_strict_by_default(published_file, tmp_path):
    def edit(tensors):
        del tensors['model.decode_head.head.conv_seg.bias']
        tensors['model.decode_head.extra'] = torch.zeros(1)

    path, output = edited(published_file, tmp_path, edit), tmp_path / 'x.safetensors'
    with pytest.raises(CheckpointError, match=r'missing 1: head\.classify\.bias') as error:
        import_published(path, output)
    assert 'decode_head.extra' in str(error.value) and not output.exists()
    report = import_published(path, output, strict=False)
    assert report.missing == ('head.classify.bias',)


def test_import_of_a_plain_daformer(published_file, tmp_path):
    def edit(tensors):
        for name in [name for name in tensors if 'scale_attention' in name]:
            del tensors[name]
        for name in [name for name in tensors if '.head.' in name]:
            tensors[name.replace('decode_head.head.', 'decode_head.')] = tensors.pop(name)

    output = tmp_path / 'daformer.safetensors'
    report = import_published(edited(published_file, tmp_path, edit), output)
    architecture = load_model(output).architecture
    assert not report.missing and not report.unexpected
    assert (architecture.attention, architecture.mode) == ('none', 'whole')


def test_import_of_a_network_that_is_not_mit(tmp_path):
    path = tmp_path / 'resnet.pth'
    torch.save({'conv1.weight': torch.zeros(64, 3, 7, 7)}, path)
    with pytest.raises(CheckpointError, match=r'resnet\.pth: no MiT-B0\.\.B5 encoder'):
        import_published(path, tmp_path / 'x.safetensors')


def test_import_with_another_number_of_classes(published_file, tmp_path):
    with pytest.raises(CheckpointError, match='predicts 19 classes'):
        import_published(published_file, tmp_path / 'x.safetensors', classes=CLASSES)


@pytest.fixture
def backbone(published_file, tmp_path):
    """A mit_b0.pth as published: bare names and a classifier."""
    content = torch.load(published_file, weights_only=True)['state_dict']
    prefix = 'model.backbone.'
    tensors = {n.removeprefix(prefix): t for n, t in content.items() if n.startswith(prefix)}
    tensors |= {'head.weight': torch.zeros(1000, 256), 'head.bias': torch.zeros(1000)}
    path = tmp_path / 'mit_b0.pth'
    torch.save(tensors, path)
    return path


def test_a_backbone_becomes_encoder_weights(backbone, student, tmp_path):
    output = tmp_path / 'mit_b0.safetensors'
    assert not import_published(backbone, output).missing
    encoder = Encoder('mit_b0')
    load_encoder_weights(encoder, output)
    weights = student.encoder.state_dict()
    for name, tensor in encoder.state_dict().items():
        torch.testing.assert_close(tensor, weights[name], rtol=0, atol=0)


def test_an_encoder_is_no_model(backbone, tmp_path):
    output = tmp_path / 'mit_b0.safetensors'
    import_published(backbone, output)
    with pytest.raises(CheckpointError, match='encoder alone'):
        load_model(output)


def test_encoder_weights_by_order_ignore_names_and_what_follows(tmp_path):
    torch.manual_seed(1)
    giver, taker = Encoder('tf_efficientnet_lite0'), Encoder('tf_efficientnet_lite0')
    tensors = {f't{i}': t for i, t in enumerate(giver.state_dict().values()) if t.ndim}
    path = tmp_path / 'renamed.pth'
    torch.save(tensors | {'zz_classifier': torch.zeros(5)}, path)
    report = load_encoder_weights(taker, path, match='order')
    assert report.unexpected == ('zz_classifier',)
    torch.testing.assert_close(taker.body.conv_stem.weight, giver.body.conv_stem.weight)


def test_order_needs_a_file_that_keeps_it(tmp_path):
    path = tmp_path / 'sorted.safetensors'
    save_file({'a': torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match='keep no order'):
        load_encoder_weights(Encoder('mit_b0'), path, match='order')


def test_encoder_weights_of_another_network(tmp_path):
    path = tmp_path / 'b0.safetensors'
    save_file({'body.patch_embed.proj.weight': torch.zeros(64, 3, 7, 7)}, path)
    with pytest.raises(CheckpointError, match=r'b0\.safetensors: does not fit.*other shapes'):
        load_encoder_weights(Encoder('mit_b0'), path)

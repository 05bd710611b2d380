"""The stages of a study, each kept in the cache under the hash of what determines it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata
from typing import Any

from torch import Tensor, nn

from brainleaks.attacks import Attack, WithinPrior
from brainleaks.data import Dataset
from brainleaks.data.encoding import RateCode, as_images
from brainleaks.data.parts import Parts
from brainleaks.defences import Defence
from brainleaks.errors import InputError
from brainleaks.evaluation import Judgement
from brainleaks.evaluation.panel import Judge, References, new_judge, with_network_on
from brainleaks.monitor import Monitor
from brainleaks.networks import Readout
from brainleaks.networks.config import NetworkConfig
from brainleaks.pipeline import attacker, stages
from brainleaks.pipeline.cache import Artefact, Cache
from brainleaks.pipeline.failures import Failures
from brainleaks.pipeline.keys import environment
from brainleaks.pipeline.progress import Recorder
from brainleaks.pipeline.versions import VERSIONS, of_attack, of_defences
from brainleaks.randomness import stream
from brainleaks.studies.config import Model, Study
from brainleaks.target import Access, Target
from brainleaks.training.prior import Prior

#: What scores are computed with, besides what determines every stage.
_SCORED_WITH = ("numpy", "scikit-image", "scipy")


@dataclass
class Trained:
    """A trained network, with what is reported of it and what determines it."""

    name: str
    network: nn.Module
    facts: dict[str, Any]
    key: dict[str, Any]
    readout: Readout = "membrane"
    #: makes the network as it was before its training, where that is known
    initial: Callable[[], nn.Module] | None = None


@dataclass
class Reconstruction:
    """One attack's result: ``(T, C, channels, H, W)`` spikes or ``(C, channels, H, W)`` images."""

    name: str
    values: Tensor
    facts: dict[str, Any]
    key: dict[str, Any]
    judgements: dict[str, Judgement]


@dataclass
class PanelJudge:
    """A judge, with what is reported of it and what determines it."""

    judge: Judge
    facts: dict[str, Any]
    key: dict[str, Any]


class Pipeline:
    """The stages of one study, each under the hash of what determines it."""

    def __init__(
        self, study: Study, seed: int, dataset: Dataset, device: str, cache: Cache
    ) -> None:
        self.study, self.seed, self.dataset = study, seed, dataset
        self.device, self.cache = device, cache
        self.failures = Failures()
        # behind another code than this one, a network is one of images
        self.encode = study.encoding if isinstance(study.encoding, RateCode) else as_images

    def train(
        self,
        name: str,
        model: Model,
        dataset: Dataset | None = None,
        *,
        defences: Sequence[Defence] = (),
    ) -> Trained:
        """Train one network, or load it; by default on the study's data, and then measured.

        ``defences`` are those of its training; :mod:`brainleaks.pipeline.defended` has the others.
        """
        control, dataset = dataset is not None, dataset or self.dataset
        network = self.new_network(name, model, dataset)
        config, recipe = model.network, model.training

        def make(monitor: Monitor) -> Artefact:
            common: Any = {"encode": self.encode, "name": name, "seed": self.seed}
            readout = config.readout
            found = stages.train(
                network, recipe, dataset.train, **common, readout=readout, monitor=monitor,
                defences=defences,
            )  # fmt: skip
            facts = {} if control else stages.measure(network, config, recipe, dataset, **common)
            return Artefact(
                dict(network.state_dict()), facts | ({"defences": found} if found else {})
            )

        key = self.network_key(name, dataset, config, model=model.model_dump(mode="json"))
        key |= {"defences": of_defences(defences)} if defences else {}
        artefact = self.cache.get_or_make(f"train:{name}", key, make)
        network.load_state_dict(artefact.tensors)
        initial = partial(self.new_network, name, model, dataset)
        return Trained(name, network.eval(), artefact.facts, key, config.readout, initial)

    def untrained(self, name: str, model: Model) -> Trained:
        """A network that was never trained; its first weights are a function of seed and name."""
        config = model.network
        settings = config.model_dump(mode="json")
        key = self.network_key(name, self.dataset, config, untrained=settings)
        network = self.new_network(name, model, self.dataset).eval()
        return Trained(name, network, {}, key, model.network.readout)

    def attack(
        self, name: str, attack: Attack, target: Trained, evaluators: list[Trained]
    ) -> Reconstruction:
        """Attack every class, and have each evaluator judge the result."""
        artefact, key = self.invert(name, attack, target)
        values = artefact.tensors["reconstruction"].to(self.device)
        judgements = {}
        for evaluator in evaluators:
            judge = partial(self._judge, key, values, evaluator)
            judged = self.failures.attempt("judgement", f"{name} by {evaluator.name}", judge)
            if judged is not None:
                judgements[evaluator.name] = judged
        return Reconstruction(name, values, artefact.facts, key, judgements)

    def invert(
        self, name: str, attack: Attack, target: Trained, classes: int | None = None
    ) -> tuple[Artefact, dict[str, Any]]:
        """One reconstruction for each of a target's classes, and what determines it."""
        key = {
            "attack": asdict(attack),
            "name": name,
            "target": self.seen(target, attack.access, undo=True),
            "environment": environment(self.device, of_attack(attack)),
        }
        call: Callable[..., Tensor] = attack
        if isinstance(attack, WithinPrior):
            prior, key["prior"] = self.prior()
            call = partial(attack, prior=prior)

        def make(monitor: Recorder) -> Artefact:
            view = self.view(target, attack.access, classes, undo=True)
            monitor.count_queries(view)
            values = stages.attack_all(call, view, name=name, seed=self.seed, monitor=monitor)
            return Artefact({"reconstruction": values}, {"queries": view.queries})

        artefact = self.cache.get_or_make(f"attack:{name}", key, make)
        if not artefact.tensors["reconstruction"].isfinite().all():
            raise InputError(
                f"{name}: the reconstructions contain NaN or infinity; the attack's settings do "
                "not suit this target."
            )
        return artefact, key

    def ask(
        self,
        name: str,
        attack: Attack,
        target: Trained,
        arguments: Callable[[], Sequence[Any]],
        made_of: dict[str, Any],
    ) -> tuple[Artefact, dict[str, Any]]:
        """What an attack of any kind answers, and what determines it.

        The answer is the tensor ``answer``, or the tensors of a named tuple by their names.

        Args:
            name: of the question, as progress shows it.
            attack: is called with the target and the arguments.
            target: the network under attack.
            arguments: returns what its kind hands to an attack; called if nothing is cached.
            made_of: what determines them.
        """
        key = {
            "attack": asdict(attack),
            "name": name,
            "target": self.seen(target, attack.access),
            "asked": made_of,
            "environment": environment(self.device, of_attack(attack)),
        }

        def make(monitor: Recorder) -> Artefact:
            view = self.view(target, attack.access)
            monitor.count_queries(view)
            generator = stream(self.seed, name, "attack")
            answer: Any = attack(view, *arguments(), generator=generator, monitor=monitor)
            named = answer._asdict() if hasattr(answer, "_asdict") else {"answer": answer}
            named = {name: value for name, value in named.items() if value is not None}
            return Artefact(named, {"queries": view.queries})

        return self.cache.get_or_make(f"attack:{name}", key, make), key

    def view(
        self, target: Trained, access: Access, classes: int | None = None, *, undo: bool = False
    ) -> Target:
        """A network as an attacker with some access sees it; or, to ``undo``, works on it."""
        known = access == "initial-weights" and target.initial is not None
        defences = self.study.defences
        return Target(
            attacker.undone(defences if undo else (), access, target.network, self.seed),
            input_shape=self.dataset.input_shape,
            classes=classes or len(self.dataset.class_names),
            access=access,
            readout=target.readout,
            initial=target.initial() if known and target.initial else None,
            answers=attacker.told(defences, access),
        )

    def seen(self, target: Trained, access: Access, *, undo: bool = False) -> dict[str, Any]:
        """What determines what an attacker with some access sees of a network."""
        return {**target.key, **attacker.determined_by(self.study.defences, access, undo=undo)}

    def prior(self) -> tuple[Prior, dict[str, Any]]:
        """The study's prior, trained on the classes that were set apart; what determines it."""
        config, images = self.study.prior, self.dataset.others
        if config is None or images is None:
            raise ValueError("the study has no prior; its validation sees to that.")
        sizes = {"latent": config.latent, "hidden": config.hidden}
        prior = stages.new_prior(self.dataset.input_shape, **sizes, seed=self.seed).to(self.device)
        key = {
            "prior": config.model_dump(mode="json"),
            "data": self.dataset.fingerprint,
            "seed": self.seed,
            "environment": self.environment("prior"),
        }

        def make(monitor: Monitor) -> Artefact:
            stages.train_prior(prior, images, config.training, seed=self.seed, monitor=monitor)
            return Artefact(dict(prior.state_dict()))

        prior.load_state_dict(self.cache.get_or_make("train:prior", key, make).tensors)
        return prior.eval(), key

    def judge(self, name: str, parts: Parts, steps: int) -> PanelJudge:
        """Train one judge of the panel for so many steps on what it may learn from, or load it."""
        judge = new_judge(name, parts.learn, self.dataset, seed=self.seed)
        key = {
            "judge": name,
            "steps": steps,
            "data": self.dataset.fingerprint,
            "seed": self.seed,
            "environment": self.environment("judge"),
        }

        def make(monitor: Monitor) -> Artefact:
            trained = with_network_on(judge, self.device)
            facts = stages.train_judge(
                trained, parts.held_out, steps=steps, seed=self.seed, monitor=monitor
            )
            return Artefact(dict(judge.network.state_dict()) if judge.network else {}, facts)

        artefact = self.cache.get_or_make(f"judge:{name}", key, make)
        if judge.network is not None:
            judge.network.load_state_dict(artefact.tensors)
            judge.network.eval()
        # trained where the target is; the real samples that it judges beside stay in main memory
        return PanelJudge(with_network_on(judge, "cpu"), artefact.facts, key)

    def score(
        self,
        name: str,
        made_of: dict[str, Any],
        reconstructions: Callable[[], tuple[Tensor, Tensor]],
        panel: list[PanelJudge],
        references: Callable[[], References],
    ) -> dict[str, Tensor]:
        """What the panel and the likeness say of each of some reconstructions, ``(B,)`` each.

        Args:
            name: what is judged, as progress shows it.
            made_of: what determines the reconstructions.
            reconstructions: gives them, and the class that each was made for.
            panel: the judges.
            references: gives the real samples to compare with.
        """
        key = {
            "scored": made_of,
            "panel": [judge.key for judge in panel],
            "environment": self.environment("score"),
            "libraries": {name: metadata.version(name) for name in _SCORED_WITH},
        }

        def make(monitor: Monitor) -> Artefact:
            values, labels = reconstructions()
            judges = [item.judge for item in panel]
            scores = stages.score_all(
                judges, values, labels, references(), seed=self.seed, monitor=monitor
            )
            return Artefact(scores)

        return self.cache.get_or_make(f"score:{name}", key, make).tensors

    def _judge(self, attack_key: dict[str, Any], values: Tensor, evaluator: Trained) -> Judgement:
        name, draws = evaluator.name, self.study.draws
        key = {
            "attack": attack_key,
            "evaluator": evaluator.key,
            "draws": draws,
            "environment": self.environment("protocol"),
        }

        def make(monitor: Monitor) -> Artefact:
            judgement = stages.judge_all(
                evaluator.network, values, draws=draws, name=name, seed=self.seed, monitor=monitor
            )
            facts = {"metrics": judgement.metrics, "draws": judgement.draws}
            return Artefact({"matrix": judgement.matrix}, facts)

        artefact = self.cache.get_or_make(f"judge:{name}", key, make)
        facts = artefact.facts
        return Judgement(facts["metrics"], artefact.tensors["matrix"], facts["draws"])

    def network_key(
        self, name: str, dataset: Dataset, config: NetworkConfig, **made_of: Any
    ) -> dict[str, Any]:
        """What determines a network and what is measured of it; ``made_of`` is its own part."""
        encoding = self.study.encoding
        return {
            **made_of,
            **({"architecture": config.version} if config.version > 1 else {}),
            "name": name,
            "encoding": asdict(encoding) if encoding and config.spiking else None,
            "data": dataset.fingerprint,
            "seed": self.seed,
            "environment": self.environment("train"),
        }

    def environment(self, *names: str) -> dict[str, Any]:
        """What determines a stage besides its own settings; ``names`` are those of its versions."""
        return environment(self.device, {name: VERSIONS[name] for name in names})

    def new_network(self, name: str, model: Model, dataset: Dataset) -> nn.Module:
        """A network before its training; its first weights are a function of seed and name."""
        build = partial(self.study.build, model.network)
        return stages.new_network(build, dataset, name=name, seed=self.seed, device=self.device)

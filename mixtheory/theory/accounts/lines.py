"""What is said about straight lines between examples, kinks and Occam's razor."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="segment_coverage", chapter="geometry",
    says="The model learns from every point of the line between two examples.",
    supported_by=("geometry.affine", "geometry.curvature"),
    corrected=r"For $0 < \alpha < \infty$: only a function that is affine on the whole segment pays nothing. Not "
              r"evenly, though: a small $\alpha$ looks at the ends, and $\alpha = \infty$ at the midpoint alone. What "
              r"is learned there is a label that was made up, not observed.")
Account(
    id="smoother_functions", chapter="geometry",
    says="Mixup leads to smoother functions.",
    supported_by=("geometry.smooth", "geometry.curvature_lower", "geometry.penalty"),
    refuted_by=(("geometry.relu_unit", "a kink off the segment costs too"),),
    corrected=r"Along segments between data points it charges for curvature and for kinks. Elsewhere, and across the "
              r"segments, it asks for nothing: it is a penalty on chords, not on roughness.")
Account(
    id="oscillation_penalty", chapter="geometry",
    says="Functions that oscillate between training points are penalised.",
    supported_by=("geometry.affine", "geometry.curvature", "geometry.largest_penalty"),
    refuted_by=(("geometry.loss", "cross term dropped"),),
    corrected=r"On the segments between data points, by at most $\frac{s - e_r}{8}$ times the squared variation of "
              r"the slope; all of it is charged to functions that interpolate. For others a cross term comes with it, "
              r"and a deviation towards the labels is rewarded.")
Account(
    id="chord_penalty", chapter="geometry",
    says="Every departure of the function from the straight line between two examples adds to the loss.",
    supported_by=("geometry.loss",),
    refuted_by=(("geometry.loss", "cross term dropped"), "geometry.shift"),
    corrected=r"If $f$ interpolates the data, the loss is exactly $\mathbb{E}D^2$. Otherwise a cross term "
              r"$2\,\mathbb{E}[D\tilde e]$ of either sign comes with it, and a departure can lower the loss.")
Account(
    id="kink_penalty", chapter="geometry",
    says="In a ReLU network the penalty comes from its kinks, where it leaves the line of the mixed labels.",
    supported_by=("geometry.tents", "geometry.relu_unit", "geometry.penalty"),
    refuted_by=(("geometry.loss", "cross term dropped"), ("geometry.penalty", "every kink by itself")),
    corrected=r"Kinks make the deviation from the chord of the network's own outputs: $D = -\sum_j J_j G(\cdot, "
              r"k_j)$. That is the line of the mixed labels only for a network that interpolates; and kinks are not "
              r"charged one by one, their products count too.")
Account(
    id="simplest_assumption", chapter="geometry",
    says="A straight line between examples is the simplest assumption about the space between them.",
    supported_by=("geometry.affine",),
    refuted_by=(("geometry.crossing", "chords never conflict"), ("geometry.conflict", "zero at the best function")),
    corrected=r"It is a consistent assumption for generic data in three or more dimensions, where segments do not "
              r"meet. On a line or in a plane they do, with different labels: the assumptions contradict one another, "
              r"and the best function is a compromise with a bias.")
Account(
    id="occam", chapter="geometry",
    says="Mixup is Occam's razor as a loss: of two functions the more complex one pays more.",
    supported_by=("geometry.affine", "geometry.largest_penalty"),
    refuted_by=(("geometry.second_kink", "a more complex function pays more"), "geometry.shift",
                ("geometry.relu_unit", "a kink off the segment costs too")),
    corrected=r"Affine functions pay nothing, and the price is bounded by the variation of the slope. It does not grow "
              r"with it: a second kink can make the first cheaper, kinks that no segment crosses are free, and where a "
              r"kink sits matters more than that it exists.")

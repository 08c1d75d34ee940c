r"""What the popular account of mixup says, each statement with the claims that decide it.

The statements are those usually made, in our words. A verdict is computed from the claims, never written
here; where no claim is named, the chapter that will decide it is.
"""

from __future__ import annotations

from mixtheory.evidence.account import Account

# --- the data -----------------------------------------------------------------------------------------------

Account(
    id="mean_unchanged", chapter="covariance",
    says="Mixing a data set leaves its mean where it was.",
    supported_by=("covariance.mean", "covariance.batch_mean"),
    refuted_by=(("covariance.batch_mean_element", "no noise"),),
    corrected=r"In expectation always. The mean of a batch stays exactly when one $\lambda$ is shared and "
              r"everyone is a partner once; with a $\lambda$ for each example it moves, by a covariance of "
              r"$\frac{2 \operatorname{Var}\lambda}{n - 1}\,C$ where nobody is their own partner.")
Account(
    id="covariance_factor", chapter="covariance",
    says="The covariance of mixed data is the original one times a number that depends only on alpha.",
    supported_by=("covariance.population",),
    refuted_by=(("covariance.batch_distinct", "population factor"),),
    corrected=r"With independent partners the number is $s = \frac{\alpha + 1}{2\alpha + 1}$. Within a "
              r"batch it depends on $n$ and on the pairing too: $s - \frac{1 - s}{n - 1}$ where nobody is "
              r"their own partner.")
Account(
    id="factor_below_one", chapter="mixing_moments",
    says="That number is below one.",
    supported_by=("mixing_moments.shrinkage", "mixing_moments.range_upper"),
    corrected=r"For every $\alpha > 0$, and it never falls below one half: $\frac12 \le s < 1$.")
Account(
    id="tamer_data", chapter="covariance",
    says="Mixed data are less chaotic, a tamer version of the original.",
    refuted_by=("covariance.kurtosis", "covariance.kurtosis_threshold", "covariance.kurtosis_gaussian",
                "mixing_moments.range_lower"),
    corrected=r"Second moments shrink, by one half at most. The tails need not: the kurtosis becomes "
              r"$\frac{\kappa q_4 + 6\,\mathbb{E}u^2}{s^2}$, which can exceed $\kappa$, and Gaussian data "
              r"stop being Gaussian.")
Account(
    id="batch_covariance_reduced", chapter="covariance",
    says="Mixing reduces the covariance of the features within a batch.",
    supported_by=("covariance.batch_permutation", "covariance.batch_distinct",
                  "covariance.batch_independent"),
    corrected=r"On average over $\lambda$ and the order, and not by a fixed number: with one $\lambda$ a "
              r"batch the factor varies, with a variance that tends to $V_S$, not to zero, in large batches.")
Account(
    id="segment_coverage", chapter="geometry",
    says="The model learns from every point of the line between two examples.")

# --- regularisation -----------------------------------------------------------------------------------------

Account(
    id="variance_is_regularisation", chapter="least_squares",
    says="Less variance in the data is what regularises; it is the statistical signature of regularisation.",
    refuted_by=("least_squares.invariance",),
    corrected=r"A smaller covariance regularises nothing by itself: least squares with an intercept gives "
              r"the same fit at every $\alpha$. It regularises through a penalty, early stopping or a "
              r"nonlinearity.")
Account(
    id="stable_fit", chapter="least_squares",
    says="A model trained on mixed data is more stable and less misled by noise in the sample.",
    supported_by=("least_squares.ridge",),
    refuted_by=("least_squares.invariance", "least_squares.sampled_pairs"),
    corrected=r"Where there is a penalty to strengthen, as for ridge. Plain least squares fits exactly the "
              r"same coefficients, and with a finite number of sampled pairs noisier ones.")
Account(
    id="alpha_knob", chapter="least_squares",
    says="Alpha is a knob for the strength of the regularisation.",
    supported_by=("least_squares.ridge",),
    refuted_by=("least_squares.ridge_ceiling", "least_squares.invariance"),
    corrected=r"A knob with a stop: it turns a ridge $\rho$ into $\rho/s < 2\rho$, and in least squares "
              r"without a penalty it turns nothing.")
Account(
    id="overfitting_remedy", chapter="trained_models",
    says="Mixup keeps networks of large capacity from memorising their training data.")
Account(
    id="more_accurate", chapter="trained_models",
    says="Networks trained with mixup are more accurate on new data.")
Account(
    id="noise_regularises", chapter="trained_models",
    says="The extra gradient noise regularises: it keeps the optimiser out of sharp, narrow minima.")

# --- straight lines -----------------------------------------------------------------------------------------

Account(
    id="smoother_functions", chapter="geometry",
    says="Mixup leads to smoother functions.")
Account(
    id="oscillation_penalty", chapter="geometry",
    says="Functions that oscillate between training points are penalised.")
Account(
    id="chord_penalty", chapter="geometry",
    says="Every departure of the function from the straight line between two examples adds to the loss.")
Account(
    id="kink_penalty", chapter="geometry",
    says="In a ReLU network the penalty comes from its kinks, where it leaves the line of the mixed labels.")
Account(
    id="labels_follow_inputs", chapter="calibration",
    says="An input mixed 70 to 30 should carry a label mixed 70 to 30.")
Account(
    id="simplest_assumption", chapter="occam",
    says="A straight line between examples is the simplest assumption about the space between them.")
Account(
    id="occam", chapter="occam",
    says="Mixup is Occam's razor as a loss: of two functions the more complex one pays more.")

# --- gradients ----------------------------------------------------------------------------------------------

Account(
    id="gradient_of_mean_label", chapter="gradients",
    says="The mean gradient under mixup is the gradient at the averaged labels.")
Account(
    id="no_wrong_direction", chapter="gradients",
    says="Mixed labels do not push the parameters systematically in a wrong direction.")
Account(
    id="gradient_noise_added", chapter="gradients",
    says="Mixup adds variance to the gradient of each step.")
Account(
    id="gradient_noise_reduced", chapter="gradients",
    says="For a linear model mixup reduces the variance of the stochastic gradient considerably.")
Account(
    id="steadier_steps", chapter="gradients",
    says="With less noise in the gradient the optimiser can take bolder and steadier steps.")

# --- curvature ----------------------------------------------------------------------------------------------

Account(
    id="smoother_landscape", chapter="curvature",
    says="Mixup smooths the loss landscape.")
Account(
    id="batchnorm_statistics", chapter="curvature",
    says="Mixup changes the statistics that batch normalisation works with.")
Account(
    id="hessian_scaled", chapter="curvature",
    says="The smaller covariance within a batch scales the Hessian of the loss down.")
Account(
    id="flatter_is_easier", chapter="curvature",
    says="The flatter landscape makes training more efficient.")

# --- bias and variance --------------------------------------------------------------------------------------

Account(
    id="no_mixup_overfits", chapter="bias_variance",
    says="Without mixup a flexible model fits the training data perfectly and generalises poorly.")
Account(
    id="large_alpha_underfits", chapter="bias_variance",
    says="A very large alpha underfits: the bias is high and the variance low.")
Account(
    id="circles_harmed", chapter="bias_variance",
    says="Where the true boundary is strongly curved, as between concentric circles, much mixing does harm.")
Account(
    id="ambiguous_labels", chapter="bias_variance",
    says="The harm comes from ambiguous labels at points that clearly belong to one class.")
Account(
    id="intermediate_alpha", chapter="bias_variance",
    says="The best alpha lies in between: enough variance removed, little bias added.")
Account(
    id="early_mixing", chapter="bias_variance",
    says="Much mixing early in training reduces the variance while the model is still coarse.")
Account(
    id="annealing", chapter="bias_variance",
    says="Letting alpha fall to zero during training removes the bias and lets the model learn the details.")

# --- calibration --------------------------------------------------------------------------------------------

Account(
    id="hard_labels", chapter="calibration",
    says="Training on one-hot labels is a main cause of overconfidence.")
Account(
    id="never_certain", chapter="calibration",
    says="Since its labels are soft, mixup never rewards complete certainty.")
Account(
    id="optimal_prediction", chapter="calibration",
    says="The best prediction under mixup is the expected mixed label.")
Account(
    id="one_half", chapter="calibration",
    says="For a mix of two different classes a model learns to answer one half.")
Account(
    id="better_calibrated", chapter="calibration",
    says="Mixup leads to better calibrated predictions.")

# --- label entropy ------------------------------------------------------------------------------------------

Account(
    id="entropy_injected", chapter="entropy",
    says="Mixup and label smoothing are one idea: both add entropy to the targets.")
Account(
    id="smoothing_uniform", chapter="entropy",
    says="Label smoothing adds it uniformly, mixup depending on the data, with a whole range of soft labels.")

# --- hidden layers ------------------------------------------------------------------------------------------

Account(
    id="mixing_concepts", chapter="manifold",
    says="Mixing hidden representations interpolates between concepts, not between pixels.")
Account(
    id="smooth_representations", chapter="manifold",
    says="Manifold mixup makes the learned representations smooth and well behaved.")
Account(
    id="manifold_stronger", chapter="manifold",
    says="Manifold mixup regularises more strongly than mixup of the inputs.")
Account(
    id="manifold_private", chapter="manifold",
    says="Manifold mixup makes a model depend less on single examples, hence harder to attack.")

# --- other data ---------------------------------------------------------------------------------------------

Account(
    id="any_domain", chapter="boxes",
    says="Mixup works in every domain in which two examples can be blended in a meaningful way.")
Account(
    id="box_interpolation", chapter="boxes",
    says="For object detection the coordinates of the boxes are mixed like the images.")
Account(
    id="detectors_gain", chapter="boxes",
    says="Detectors such as YOLO and SSD gain from mixup as classifiers do.")
Account(
    id="graphs_not_averaged", chapter="graphs",
    says="Two graphs cannot be averaged, but the embeddings of two neighbourhoods can.")
Account(
    id="linear_in_meaning", chapter="graphs",
    says="What mixup enforces is linear behaviour in a space of meaningful representations.")
Account(
    id="attention_spreads", chapter="attention",
    says="Mixup blends all patches alike, so the class token spreads its attention evenly over the image.")
Account(
    id="global_view", chapter="attention",
    says="This makes a vision transformer look at the image as a whole.")
Account(
    id="foreign_patch", chapter="attention",
    says="CutMix draws the attention to the pasted patch.")
Account(
    id="cutmix_localises", chapter="cutmix",
    says="CutMix promotes localisation, a bias that complements that of mixup.")

# --- robustness, privacy, active learning -------------------------------------------------------------------

Account(
    id="adversarial_cause", chapter="robustness",
    says="Adversarial examples exist because networks rely on odd, high-frequency patterns.")
Account(
    id="fills_cracks", chapter="robustness",
    says="Training between the examples closes the gaps that an adversary would use.")
Account(
    id="adversarial_risk", chapter="robustness",
    says="It is proved that mixup reduces the adversarial risk.")
Account(
    id="attack_uses_loss", chapter="privacy",
    says="Membership attacks work because members of the training set have a clearly lower loss.")
Account(
    id="never_sees_examples", chapter="privacy",
    says="A model trained with mixup never sees a single original example.")
Account(
    id="loss_gap", chapter="privacy",
    says="Mixup systematically narrows the gap between the losses of members and of others.")
Account(
    id="attack_harder", chapter="privacy",
    says="A narrower gap makes it harder to tell members from others.")
Account(
    id="alpha_tunes_privacy", chapter="privacy",
    says="The strength of this protection can be tuned by alpha.")
Account(
    id="uncertainty_at_boundary", chapter="active_learning",
    says="One would expect mixup to raise the uncertainty near the boundary, a help in active learning.")
Account(
    id="entropy_below_bayes", chapter="active_learning",
    says="Between the classes mixup can be less uncertain than the Bayes classifier.")

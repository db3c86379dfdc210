package firesteel.params

import firesteel.util.Json
import org.apache.spark.ml.param.{BooleanParam, DoubleParam, Param, Params}
import org.json4s.JsonAST.{JBool, JDouble, JField, JObject, JString, JValue}

/** The optimizer of each worker, and its options. An option that is not set has PyTorch's default for the chosen
  * optimizer, or that of Yogi's paper. `fit` rejects an option that is set and that the optimizer does not have.
  */
private[firesteel] trait OptimizerParams extends Params {

  /** The worker's optimizer, one of sgd, adam, adamw, rmsprop, adagrad, adadelta, adamax, nadam and yogi. Default:
    * adam.
    */
  final val optimizer: Param[String] = TextParam(
    this,
    "optimizer",
    s"the worker's optimizer, as in torch.optim: ${Optimizer.names.mkString(", ")}",
    Validators.oneOf("optimizer", Optimizer.names)
  )

  /** Learning rate, positive. Default: 0.001, but 0.01 for rmsprop, adagrad and yogi, 0.002 for adamax and nadam, 1 for
    * adadelta.
    */
  final val learningRate: DoubleParam =
    option("learningRate", "learning rate (> 0)", Validators.positive)

  /** Momentum of sgd and rmsprop, at least 0. Default: 0. */
  final val momentum: DoubleParam =
    option("momentum", "momentum of sgd and rmsprop (>= 0)", Validators.notNegative)

  /** Dampening of sgd's momentum. Default: 0. */
  final val dampening: DoubleParam =
    option("dampening", "dampening of sgd's momentum (>= 0)", Validators.notNegative)

  /** True for Nesterov momentum in sgd. Default: false. */
  final val nesterov: BooleanParam =
    new BooleanParam(this, "nesterov", s"true for Nesterov momentum in sgd$unlessSet")

  /** Weight decay, at least 0: the weight of the squared norm in the loss, or for adamw the decoupled decay. Default:
    * 0, but 0.01 for adamw.
    */
  final val weightDecay: DoubleParam =
    option("weightDecay", "weight decay (>= 0)", Validators.notNegative)

  /** Decay of the first moment of adam, adamw, adamax, nadam and yogi, in [0, 1). Default: 0.9. */
  final val beta1: DoubleParam =
    option(
      "beta1",
      "decay of the first moment of adam and its variants, in [0, 1)",
      Validators.fraction
    )

  /** Decay of the second moment of adam, adamw, adamax, nadam and yogi, in [0, 1). Default: 0.999. */
  final val beta2: DoubleParam =
    option(
      "beta2",
      "decay of the second moment of adam and its variants, in [0, 1)",
      Validators.fraction
    )

  /** The term added to denominators for numerical stability, at least 0. Default: 1e-8, but 1e-10 for adagrad, 1e-6 for
    * adadelta, 1e-3 for yogi.
    */
  final val epsilon: DoubleParam =
    option(
      "epsilon",
      "term added to denominators for numerical stability (>= 0)",
      Validators.notNegative
    )

  /** True to use the maximum of all second moments in adam and adamw (AMSGrad). Default: false. */
  final val amsgrad: BooleanParam = new BooleanParam(
    this,
    "amsgrad",
    s"true to use the maximum of all second moments in adam and adamw (AMSGrad)$unlessSet"
  )

  /** Decay of rmsprop's second moment, in [0, 1). Default: 0.99. */
  final val alpha: DoubleParam =
    option("alpha", "decay of rmsprop's second moment, in [0, 1)", Validators.fraction)

  /** True for centered rmsprop, which subtracts the mean gradient. Default: false. */
  final val centered: BooleanParam =
    new BooleanParam(
      this,
      "centered",
      s"true for centered rmsprop, which subtracts the mean gradient$unlessSet"
    )

  /** The learning rate decay of adagrad: the learning rate is divided by 1 + decay * steps. Default: 0. */
  final val learningRateDecay: DoubleParam = option(
    "learningRateDecay",
    "learning rate decay of adagrad (>= 0)",
    Validators.notNegative
  )

  /** The initial value of adagrad's sum of squares. Default: 0. */
  final val initialAccumulator: DoubleParam = option(
    "initialAccumulator",
    "initial value of adagrad's sum of squares (>= 0)",
    Validators.notNegative
  )

  /** Decay of adadelta's averages, in [0, 1). Default: 0.9. */
  final val rho: DoubleParam =
    option("rho", "decay of adadelta's averages, in [0, 1)", Validators.fraction)

  /** Decay of nadam's momentum schedule. Default: 0.004. */
  final val momentumDecay: DoubleParam =
    option("momentumDecay", "decay of nadam's momentum schedule (>= 0)", Validators.notNegative)

  setDefault(optimizer -> "adam")

  final def getOptimizer: String = $(optimizer)

  /** The learning rate that is set, or the optimizer's default. */
  final def getLearningRate: Double =
    get(learningRate).getOrElse(
      Optimizer($(optimizer)).options
        .collectFirst { case ("learningRate", JDouble(rate)) => rate }
        .getOrElse(Double.NaN)
    )

  /** Returns the optimizer with every option resolved.
    *
    * @throws java.lang.IllegalArgumentException
    *   when an option is set that the optimizer does not have
    */
  private[firesteel] final def optimizerSpec: JObject = {
    val chosen = Optimizer($(optimizer))
    optimizerOptions.filter(option => isSet(option) && !chosen.has(option.name)).foreach { option =>
      throw new IllegalArgumentException(
        s"the optimizer '${chosen.name}' has no option ${option.name}; " +
          s"it has ${chosen.options.map(_._1).mkString(", ")}"
      )
    }
    val options = chosen.options.map { case (name, default) =>
      JField(name, get(getParam(name)).map(Json.of).getOrElse(default))
    }
    if ($(optimizer) == "sgd") checkNesterov(options.toMap)
    JObject(JField("name", JString(chosen.name)) :: options.toList)
  }

  private def checkNesterov(options: Map[String, JValue]): Unit = require(
    options("nesterov") != JBool.True ||
      (options("momentum") != JDouble(0) && options("dampening") == JDouble(0)),
    "nesterov needs a momentum above 0 and a dampening of 0"
  )

  private def optimizerOptions: Seq[Param[_]] =
    Seq(learningRate, momentum, dampening, nesterov, weightDecay, beta1, beta2, epsilon, amsgrad) ++
      Seq(alpha, centered, learningRateDecay, initialAccumulator, rho, momentumDecay)

  private def unlessSet: String = "; unless set, as in PyTorch"

  private def option(name: String, doc: String, check: String => Double => Boolean): DoubleParam =
    new DoubleParam(this, name, doc + unlessSet, check(name))
}

/** Setters of [[OptimizerParams]], for estimators. */
private[firesteel] trait OptimizerSetters extends OptimizerParams {
  def setOptimizer(value: String): this.type = set(optimizer, value)
  def setLearningRate(value: Double): this.type = set(learningRate, value)
  def setMomentum(value: Double): this.type = set(momentum, value)
  def setDampening(value: Double): this.type = set(dampening, value)
  def setNesterov(value: Boolean): this.type = set(nesterov, value)
  def setWeightDecay(value: Double): this.type = set(weightDecay, value)
  def setBeta1(value: Double): this.type = set(beta1, value)
  def setBeta2(value: Double): this.type = set(beta2, value)
  def setEpsilon(value: Double): this.type = set(epsilon, value)
  def setAmsgrad(value: Boolean): this.type = set(amsgrad, value)
  def setAlpha(value: Double): this.type = set(alpha, value)
  def setCentered(value: Boolean): this.type = set(centered, value)
  def setLearningRateDecay(value: Double): this.type = set(learningRateDecay, value)
  def setInitialAccumulator(value: Double): this.type = set(initialAccumulator, value)
  def setRho(value: Double): this.type = set(rho, value)
  def setMomentumDecay(value: Double): this.type = set(momentumDecay, value)
}

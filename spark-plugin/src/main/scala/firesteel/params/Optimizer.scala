package firesteel.params

import org.json4s.JsonAST.{JBool, JDouble, JValue}

/** A worker optimizer of `torch.optim`, or Yogi: its options and their defaults, which are PyTorch's and those of
  * Yogi's paper.
  *
  * @param name
  *   the value of the parameter `optimizer`
  * @param options
  *   the names of its parameters, also in its JSON, each with the default
  */
private[firesteel] final case class Optimizer(name: String, options: Seq[(String, JValue)]) {
  def has(option: String): Boolean = options.exists(_._1 == option)
}

private[firesteel] object Optimizer {
  private val adam: Seq[(String, JValue)] = Seq(
    "learningRate" -> JDouble(1e-3),
    "beta1" -> JDouble(0.9),
    "beta2" -> JDouble(0.999),
    "epsilon" -> JDouble(1e-8),
    "weightDecay" -> JDouble(0),
    "amsgrad" -> JBool.False
  )

  val all: Seq[Optimizer] = Seq(
    Optimizer(
      "sgd",
      Seq(
        "learningRate" -> JDouble(1e-3),
        "momentum" -> JDouble(0),
        "dampening" -> JDouble(0),
        "nesterov" -> JBool.False,
        "weightDecay" -> JDouble(0)
      )
    ),
    Optimizer("adam", adam),
    Optimizer("adamw", changed(adam, "weightDecay" -> JDouble(1e-2))),
    Optimizer(
      "rmsprop",
      Seq(
        "learningRate" -> JDouble(1e-2),
        "alpha" -> JDouble(0.99),
        "epsilon" -> JDouble(1e-8),
        "weightDecay" -> JDouble(0),
        "momentum" -> JDouble(0),
        "centered" -> JBool.False
      )
    ),
    Optimizer(
      "adagrad",
      Seq(
        "learningRate" -> JDouble(1e-2),
        "learningRateDecay" -> JDouble(0),
        "epsilon" -> JDouble(1e-10),
        "weightDecay" -> JDouble(0),
        "initialAccumulator" -> JDouble(0)
      )
    ),
    Optimizer(
      "adadelta",
      Seq(
        "learningRate" -> JDouble(1.0),
        "rho" -> JDouble(0.9),
        "epsilon" -> JDouble(1e-6),
        "weightDecay" -> JDouble(0)
      )
    ),
    Optimizer("adamax", changed(adam, "learningRate" -> JDouble(2e-3)).filter(_._1 != "amsgrad")),
    Optimizer(
      "nadam",
      changed(adam, "learningRate" -> JDouble(2e-3)).filter(_._1 != "amsgrad") :+
        ("momentumDecay" -> JDouble(4e-3))
    ),
    Optimizer(
      "yogi",
      Seq(
        "learningRate" -> JDouble(1e-2),
        "beta1" -> JDouble(0.9),
        "beta2" -> JDouble(0.999),
        "epsilon" -> JDouble(1e-3),
        "weightDecay" -> JDouble(0)
      )
    )
  )

  /** The names of the optimizers. */
  val names: Seq[String] = all.map(_.name)

  /** Returns the optimizer with this name, which must be one of [[names]]. */
  def apply(name: String): Optimizer = all
    .find(_.name == name)
    .getOrElse(
      throw new IllegalArgumentException(
        s"unknown optimizer '$name'; use one of ${names.mkString(", ")}"
      )
    )

  private def changed(
      options: Seq[(String, JValue)],
      change: (String, JValue)
  ): Seq[(String, JValue)] = options.map(option => if (option._1 == change._1) change else option)
}

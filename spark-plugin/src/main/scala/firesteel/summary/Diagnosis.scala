package firesteel.summary

import java.util.Locale

/** Signs of a failed training, as warnings. `docs/warnings.md` describes each. */
private[firesteel] object Diagnosis {

  /** The maximum number of names in a warning. */
  private val Shown = 5

  /** A network distinguishes rows if the labels of other rows cost this much more than their own. */
  private val Distinguishing = 0.05

  /** Returns the warnings of a finished fit.
    *
    * @param epochs
    *   the epochs of the fit
    * @param reports
    *   the reports of its tasks
    */
  def warnings(epochs: Seq[EpochSummary], reports: Seq[TaskReport]): Seq[String] = {
    val learning = reports.flatMap(_.learning)
    val samples = learning.flatMap(_.sample)
    withoutGradient(learning) ++ loss(epochs, samples) ++ constant(samples) ++ dead(samples) ++
      withoutRows(reports)
  }

  private def withoutGradient(learning: Seq[LearningReport]): Seq[String] = {
    def all(names: LearningReport => Seq[String]): Seq[String] =
      learning.map(names).reduceOption(_ intersect _).getOrElse(Nil)
    val unreached = all(_.unreached)
    val zero = all(one => one.unreached ++ one.withoutGradient).diff(unreached)
    Option
      .when(unreached.nonEmpty)(
        s"${parameters(unreached)} got no gradient in any step and did not learn: the loss does not depend on " +
          "it. Use it in the network's forward pass, or freeze or remove it"
      )
      .toSeq ++
      Option.when(zero.nonEmpty)(
        s"${parameters(zero)} had a gradient of 0 in every step and did not learn: the layers behind it are dead or " +
          "saturated. Scale the features, lower the learning rate, or use another activation"
      )
  }

  private def parameters(names: Seq[String]): String = {
    val shown = names.take(Shown).map(name => s"'$name'").mkString(", ")
    val more = if (names.size > Shown) s" and ${names.size - Shown} more" else ""
    (if (names.size == 1) "parameter " else "each of the parameters ") + shown + more
  }

  private def loss(epochs: Seq[EpochSummary], samples: Seq[SampleReport]): Option[String] =
    for {
      first <- epochs.headOption.map(_.loss)
      last <- epochs.lastOption.map(_.loss)
      if epochs.size > 1 && last >= first && !samples.exists(distinguishes)
    } yield s"the loss did not fall: it was ${number(first)} in the first epoch and ${number(last)} in the last of " +
      s"${epochs.size}. Try another learning rate, scale the features, and check that the labels belong to the rows"

  /** Returns true if the network distinguishes the rows of a sample. The loss of a network that was trained before the
    * fit need not fall.
    */
  private def distinguishes(sample: SampleReport): Boolean =
    sample.loss.zip(sample.shuffledLoss).exists { case (loss, shuffled) =>
      shuffled - loss > Distinguishing * math.abs(loss)
    }

  private def constant(samples: Seq[SampleReport]): Seq[String] =
    samples.flatMap(_.outputs).groupBy(_.output).toSeq.sortBy(_._1).collect {
      case (output, found) if found.forall(_.constant.nonEmpty) =>
        val value = found.flatMap(_.constant).head
        s"the prediction is constant: output '$output' gives $value for every row of a sample whose labels differ. " +
          "Try another learning rate or more epochs, scale the features, and give rare classes more weight (classWeights)"
    }

  private def dead(samples: Seq[SampleReport]): Seq[String] = {
    val least = samples
      .map(_.dead.map(layer => layer.layer -> layer).toMap)
      .reduceOption((some, others) =>
        some.collect {
          case (name, one) if others.contains(name) =>
            name -> Seq(one, others(name)).minBy(_.dead)
        }
      )
      .getOrElse(Map.empty)
    least.values.toSeq.sortBy(_.layer).filter(layer => 2 * layer.dead > layer.units).map { layer =>
      s"${layer.dead} of the ${layer.units} units of layer '${layer.layer}' are dead: they are 0 for every row of a " +
        "sample. Lower the learning rate, scale the features, or use LeakyReLU"
    }
  }

  private def withoutRows(reports: Seq[TaskReport]): Option[String] = {
    val rows = reports.flatMap(_.workers).map(_.rows)
    val without = rows.count(_ == 0)
    Option.when(without > 0)(
      s"$without of ${rows.size} workers had no rows and trained nothing. Repartition the DataFrame so that each worker " +
        s"has rows, or set numWorkers to ${rows.size - without}"
    )
  }

  private def number(value: Double): String = String.format(Locale.ROOT, "%.6g", value)
}

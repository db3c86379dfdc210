package firesteel.fit

import firesteel.data.{LabelColumn, LabelKind}
import org.json4s.JsonAST.{JDouble, JObject}

/** The training objective of one output of a network.
  *
  * @param label
  *   the label that the output is compared with
  * @param loss
  *   the `LossSpec`
  * @param weight
  *   the factor of the loss in the sum over all outputs
  */
private[firesteel] final case class OutputObjective(
    label: LabelColumn,
    loss: JObject,
    weight: Double = 1.0
) {

  /** The `TermSpec`. */
  def term: JObject = JObject("loss" -> loss, "weight" -> JDouble(weight))

  /** The default metrics of the validation rows. */
  def metrics: Seq[String] = label.kind match {
    case LabelKind.Class(2) => Seq("accuracy", "auc")
    case LabelKind.Class(_) => Seq("accuracy")
    case LabelKind.Values(_) => Seq("mse", "mae", "r2")
  }
}

private[firesteel] object OutputObjective {

  /** The default metrics of all outputs: by their own names for one output, as `<output>_<metric>` for several. */
  def metrics(outputs: Seq[String], objectives: Seq[OutputObjective]): Seq[String] =
    objectives match {
      case Seq(only) => only.metrics
      case several =>
        outputs.zip(several).flatMap { case (output, objective) =>
          objective.metrics.map(metric => s"${output}_$metric")
        }
    }
}

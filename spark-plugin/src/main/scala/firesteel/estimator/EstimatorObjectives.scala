package firesteel.estimator

import firesteel.data.{ColumnResolver, LabelColumn, LabelKind}
import firesteel.network.OutputInspection
import firesteel.params.Losses
import org.apache.spark.sql.types.StructType

/** The objectives of outputs: the kinds of their labels, and their default losses. */
private[estimator] object EstimatorObjectives {

  /** The losses that need class indices. */
  private val ClassLosses = {
    import Losses._
    Set(CrossEntropy, NllLoss, Hinge, BinaryCrossEntropyWithLogits)
  }

  /** Returns the label of an output and the name of its loss.
    *
    * @param column
    *   the label column
    * @param loss
    *   the loss that the user set, if any
    */
  def labelAndLoss(
      output: OutputInspection,
      schema: StructType,
      column: String,
      loss: Option[String]
  ): (LabelColumn, String) = {
    val field = ColumnResolver.field(schema, column)
    val several = ColumnResolver.holdsSeveral(field.dataType)
    val chosen = loss.getOrElse(default(output, several))
    val kind =
      if (several) LabelKind.Values(output.size)
      else if (output.size > 1) LabelKind.Class(output.size)
      else if (ClassLosses(chosen)) LabelKind.Class(2)
      else LabelKind.Values(1)
    LabelColumn(field.name, kind) -> chosen
  }

  private def default(output: OutputInspection, several: Boolean): String =
    output.activation match {
      case OutputInspection.Softmax => Losses.CrossEntropy
      case OutputInspection.Sigmoid => Losses.BinaryCrossEntropyWithLogits
      case _ if output.size > 1 && !several => Losses.CrossEntropy
      case _ => Losses.MseLoss
    }

  /** Checks that a column can be a label, before the output is known. */
  def check(schema: StructType, column: String): Unit = {
    val field = ColumnResolver.field(schema, column)
    val several = ColumnResolver.holdsSeveral(field.dataType)
    val kind = LabelKind.Values(if (several) 2 else 1)
    ColumnResolver.check(schema, Nil, Seq(LabelColumn(column, kind)))
  }
}

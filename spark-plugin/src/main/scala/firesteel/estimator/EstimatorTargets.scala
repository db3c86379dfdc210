package firesteel.estimator

import firesteel.data.{ColumnResolver, LabelColumn, LabelKind}
import firesteel.network.OutputInspection
import firesteel.params.Losses
import org.apache.spark.sql.types.StructType

/** What an output learns from a label.
  *
  * @param label
  *   the label
  * @param loss
  *   the name of the loss
  */
private[estimator] final case class Choice(label: LabelColumn, loss: String) {

  /** What is computed on validation rows. */
  def metrics: Seq[String] = label.kind match {
    case LabelKind.Class(2) => Seq("accuracy", "auc")
    case LabelKind.Class(_) => Seq("accuracy")
    case LabelKind.Values(_) => Seq("mse", "mae", "r2")
  }
}

/** How labels are read, and which loss is meant where none is set. */
private[estimator] object EstimatorTargets {

  /** The losses of class indices only. */
  private val OfClasses = {
    import Losses._
    Set(CrossEntropy, Likelihood, Hinge, Binary)
  }

  /** What an output learns from a column.
    *
    * @param loss
    *   the loss that the user chose, if he did
    */
  def of(
      output: OutputInspection,
      schema: StructType,
      column: String,
      loss: Option[String]
  ): Choice = {
    val field = ColumnResolver.field(schema, column)
    val several = ColumnResolver.holdsSeveral(field.dataType)
    val chosen = loss.getOrElse(default(output, several))
    val kind =
      if (several) LabelKind.Values(output.size)
      else if (output.size > 1) LabelKind.Class(output.size)
      else if (OfClasses(chosen)) LabelKind.Class(2)
      else LabelKind.Values(1)
    Choice(LabelColumn(field.name, kind), chosen)
  }

  private def default(output: OutputInspection, several: Boolean): String =
    output.activation match {
      case OutputInspection.Softmax => Losses.CrossEntropy
      case OutputInspection.Sigmoid => Losses.Binary
      case _ if output.size > 1 && !several => Losses.CrossEntropy
      case _ => Losses.Square
    }

  /** Checks that a column may be a label, where nothing is known of the output yet. */
  def check(schema: StructType, column: String): Unit = {
    val field = ColumnResolver.field(schema, column)
    val several = ColumnResolver.holdsSeveral(field.dataType)
    val kind = LabelKind.Values(if (several) 2 else 1)
    ColumnResolver.check(schema, Nil, Seq(LabelColumn(column, kind)))
  }
}

package firesteel.regression

import firesteel.data.{ColumnResolver, LabelColumn, LabelKind}
import firesteel.params.Losses
import org.apache.spark.sql.types.StructType

/** The objective of a regressor: its label and its losses. */
private[regression] object RegressionObjective {

  /** The losses for numbers. */
  val losses: Seq[String] = {
    import Losses._
    Seq(MseLoss, L1Loss, SmoothL1Loss, HuberLoss, PoissonNllLoss, BinaryCrossEntropyWithLogits)
  }

  /** Returns true if a label column holds several values in each row. */
  def isSeveral(schema: StructType, column: String): Boolean =
    ColumnResolver.holdsSeveral(ColumnResolver.field(schema, column).dataType)

  /** Returns a numeric label, before the number of the network's values is known. */
  def label(schema: StructType, column: String): LabelColumn =
    LabelColumn(column, LabelKind.Values(if (isSeveral(schema, column)) 2 else 1))
}

package firesteel.regression

import firesteel.data.{ColumnResolver, LabelColumn, LabelKind}
import firesteel.params.Losses
import org.apache.spark.sql.types.StructType

/** What a regressor learns from a label: its numbers. */
private[regression] object RegressionObjective {

  /** The losses that fit numbers. */
  val losses: Seq[String] = {
    import Losses._
    Seq(MseLoss, L1Loss, SmoothL1Loss, HuberLoss, PoissonNllLoss, BinaryCrossEntropyWithLogits)
  }

  /** Whether a label column holds several numbers a row. */
  def isSeveral(schema: StructType, column: String): Boolean =
    ColumnResolver.holdsSeveral(ColumnResolver.field(schema, column).dataType)

  /** A label of numbers, where it is not known yet how many the network gives. */
  def label(schema: StructType, column: String): LabelColumn =
    LabelColumn(column, LabelKind.Values(if (isSeveral(schema, column)) 2 else 1))
}

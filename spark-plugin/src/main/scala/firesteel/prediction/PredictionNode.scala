package firesteel.prediction

import org.apache.spark.sql.catalyst.expressions.{Attribute, AttributeSet}
import org.apache.spark.sql.catalyst.plans.logical.{LogicalPlan, UnaryNode}

/** Appends a predictor's outputs to the columns that pass through.
  *
  * @param predictor
  *   the predictor
  * @param inputs
  *   the input columns, in the order of `predictor.data.columns`
  * @param passed
  *   the child's columns that are kept
  * @param computed
  *   the new columns, one for each of the predictor's outputs
  */
private[firesteel] final case class PredictionNode(
    predictor: Predictor,
    inputs: Seq[Attribute],
    passed: Seq[Attribute],
    computed: Seq[Attribute],
    child: LogicalPlan
) extends UnaryNode {

  override def output: Seq[Attribute] = passed ++ computed

  override def producedAttributes: AttributeSet = AttributeSet(computed)

  override def maxRows: Option[Long] = child.maxRows

  override protected def withNewChildInternal(newChild: LogicalPlan): PredictionNode =
    copy(child = newChild)
}

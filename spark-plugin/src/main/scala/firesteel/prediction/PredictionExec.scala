package firesteel.prediction

import org.apache.spark.rdd.RDD
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Attribute, AttributeSet}
import org.apache.spark.sql.execution.{SparkPlan, UnaryExecNode}

final case class PredictionExec(
    predictor: Predictor,
    inputs: Seq[Attribute],
    passed: Seq[Attribute],
    computed: Seq[Attribute],
    child: SparkPlan
) extends UnaryExecNode {

  override def output: Seq[Attribute] = passed ++ computed

  override def producedAttributes: AttributeSet = AttributeSet(computed)

  override protected def doExecute(): RDD[InternalRow] = child.execute()

  override protected def withNewChildInternal(newChild: SparkPlan): PredictionExec =
    copy(child = newChild)
}

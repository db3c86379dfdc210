package firesteel.prediction

import org.apache.spark.sql.catalyst.expressions.{And, AttributeSet, PredicateHelper}
import org.apache.spark.sql.catalyst.plans.logical.{Filter, LogicalPlan, Project}
import org.apache.spark.sql.catalyst.rules.Rule
import org.apache.spark.sql.execution.{SparkPlan, SparkStrategy}

/** Plans a [[PredictionNode]] as a [[PredictionExec]]. */
private[firesteel] object PredictionStrategy extends SparkStrategy {

  override def apply(plan: LogicalPlan): Seq[SparkPlan] = plan match {
    case PredictionNode(predictor, inputs, passed, computed, child) =>
      Seq(PredictionExec(predictor, inputs, passed, computed, planLater(child)))
    case _ => Nil
  }
}

/** Drops everything that a projection above does not use: columns that pass through, outputs, and the whole node if no
  * output is left.
  */
private[firesteel] object PrunePredictions extends Rule[LogicalPlan] {

  override def apply(plan: LogicalPlan): LogicalPlan = plan.transformDown {
    case Project(list, node: PredictionNode) =>
      val used = AttributeSet(list)
      val kept = node.computed.zip(node.predictor.outputs).filter(pair => used.contains(pair._1))
      if (kept.isEmpty) Project(list, node.child)
      else Project(list, prune(node, used, kept))
  }

  private def prune(
      node: PredictionNode,
      used: AttributeSet,
      kept: Seq[(org.apache.spark.sql.catalyst.expressions.Attribute, OutputKind)]
  ): LogicalPlan = {
    val passed = node.passed.filter(used.contains)
    if (passed.size == node.passed.size && kept.size == node.computed.size) node
    else {
      node.copy(
        predictor = node.predictor.withOutputs(kept.map(_._2)),
        passed = passed,
        computed = kept.map(_._1)
      )
    }
  }
}

/** Pushes conditions that use no output of a prediction below it. */
private[firesteel] object PushFiltersBelowPredictions
    extends Rule[LogicalPlan]
    with PredicateHelper {

  override def apply(plan: LogicalPlan): LogicalPlan = plan.transformDown {
    case filter @ Filter(condition, node: PredictionNode) =>
      val (below, above) = splitConjunctivePredicates(condition).partition { part =>
        part.deterministic && part.references.nonEmpty &&
        part.references.subsetOf(node.child.outputSet)
      }
      if (below.isEmpty) filter
      else {
        val pushed = node.copy(child = Filter(below.reduce(And), node.child))
        above.reduceOption(And).fold[LogicalPlan](pushed)(Filter(_, pushed))
      }
  }
}

package firesteel.data

import org.apache.spark.sql.catalyst.expressions.{Attribute, Expression}
import org.apache.spark.sql.catalyst.plans.physical.RoundRobinPartitioning
import org.apache.spark.sql.execution._
import org.apache.spark.sql.execution.adaptive.{AdaptiveSparkPlanExec, QueryStageExec}
import org.apache.spark.sql.execution.columnar.{InMemoryTableScanExec, InMemoryTableScanLike}
import org.apache.spark.sql.execution.datasources.v2.DataSourceV2ScanExecBase
import org.apache.spark.sql.execution.exchange.{REPARTITION_BY_NUM, ShuffleExchangeLike}

/** What an executed plan tells of its partitions before it runs. */
private[data] object PlanShape {

  /** Whether the user's own `repartition(tasks)` gives the partitions. */
  def isRepartitioned(plan: SparkPlan, tasks: Int): Boolean = plan match {
    case adaptive: AdaptiveSparkPlanExec => isRepartitioned(adaptive.executedPlan, tasks)
    case WholeStageCodegenExec(child) => isRepartitioned(child, tasks)
    case InputAdapter(child) => isRepartitioned(child, tasks)
    case ProjectExec(list, child) if list.forall(isColumn) => isRepartitioned(child, tasks)
    case exchange: ShuffleExchangeLike =>
      isRoundRobin(exchange) && exchange.numPartitions == tasks
    case _ => false
  }

  /** Whether the user's own `repartition(number)` dealt the rows over the partitions, from which some may have been dropped
    * since, before or after they were cached.
    */
  def isDealt(plan: SparkPlan): Boolean = plan match {
    case adaptive: AdaptiveSparkPlanExec => isDealt(adaptive.executedPlan)
    case WholeStageCodegenExec(child) => isDealt(child)
    case InputAdapter(child) => isDealt(child)
    case transition: ColumnarToRowTransition => isDealt(transition.child)
    case ProjectExec(_, child) => isDealt(child)
    case FilterExec(_, child) => isDealt(child)
    case stage: QueryStageExec => isDealt(stage.plan)
    case scan: InMemoryTableScanExec => isDealt(scan.relation.cachedPlan)
    case exchange: ShuffleExchangeLike => isRoundRobin(exchange)
    case _ => false
  }

  /** Whether a plan reads its sources row by row, so that counting its rows is cheap. */
  def isScan(plan: SparkPlan): Boolean = plan match {
    case adaptive: AdaptiveSparkPlanExec => isScan(adaptive.executedPlan)
    case WholeStageCodegenExec(child) => isScan(child)
    case InputAdapter(child) => isScan(child)
    case transition: ColumnarToRowTransition => isScan(transition.child)
    case ProjectExec(_, child) => isScan(child)
    case FilterExec(_, child) => isScan(child)
    case union: UnionExec => union.children.forall(isScan)
    case _: InMemoryTableScanLike | _: FileSourceScanLike | _: DataSourceV2ScanExecBase |
        _: LocalTableScanExec | _: RangeExec =>
      true
    case _ => false
  }

  /** Whether an expression only names a column. */
  def isColumn(expression: Expression): Boolean = expression.isInstanceOf[Attribute]

  /** A repartition by number, not one by columns, which brings rows together that are alike. */
  private def isRoundRobin(exchange: ShuffleExchangeLike): Boolean =
    exchange.shuffleOrigin == REPARTITION_BY_NUM &&
      exchange.outputPartitioning.isInstanceOf[RoundRobinPartitioning]
}
